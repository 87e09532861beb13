"""The system calls that a sandbox must not use: a BPF program for bubblewrap, a profile for podman.

docker's default profile forbids the same and more, except netlink sockets.
"""

import errno
import platform
import socket
import struct
from typing import Any

# Name, number on x86_64, number on aarch64 (-1: does not exist).
DENIED = """
ptrace 101 117                process_vm_readv 310 270      process_vm_writev 311 271     kcmp 312 272
pidfd_getfd 438 438           mount 165 40                  umount2 166 39                pivot_root 155 41
chroot 161 51                 unshare 272 97                setns 308 268                 open_tree 428 428
move_mount 429 429            fsopen 430 430                fsconfig 431 431              fsmount 432 432
fspick 433 433                mount_setattr 442 442         name_to_handle_at 303 264     open_by_handle_at 304 265
io_uring_setup 425 425        io_uring_enter 426 426        io_uring_register 427 427     bpf 321 280
perf_event_open 298 241       userfaultfd 323 282           add_key 248 217               request_key 249 218
keyctl 250 219                vmsplice 278 75               modify_ldt 154 -1             personality 135 92
syslog 103 116                acct 163 89                   quotactl 179 60               swapon 167 224
swapoff 168 225               reboot 169 142                kexec_load 246 104            kexec_file_load 320 294
init_module 175 105           finit_module 313 273          delete_module 176 106         iopl 172 -1
ioperm 173 -1                 settimeofday 164 170          clock_settime 227 112         adjtimex 159 171
clock_adjtime 305 266         io_setup 206 0
"""
# Rejected with these flags (all namespaces); the form without visible flags does not exist; other families.
CLONE, NEW_NAMESPACES = (56, 220), 0x7E020080
CLONE3 = (435, 435)
# Not AF_NETLINK, whose buffers no limit counts.
SOCKET, FAMILIES = (41, 198), (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
FIRST_X32_CALL = 0x40000000

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
# Offsets in `struct seccomp_data`
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
ALLOW, KILL, DENY, MISSING = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS


def build_filter() -> bytes:
    """Return the program for this machine's architecture (an array of `struct sock_filter`)."""
    column, architecture = ARCHITECTURES[platform.machine()]
    # Code, value, instructions to skip if true, and if false.
    program = [
        (LOAD, ARCHITECTURE, 0, 0),
        (EQUAL, architecture, 1, 0),
        (RETURN, KILL, 0, 0),
        (LOAD, NUMBER, 0, 0),
    ]
    program += [(AT_LEAST, FIRST_X32_CALL, 0, 1), (RETURN, DENY, 0, 0)]
    for number in map(int, DENIED.split()[1 + column :: 3]):
        program += [(EQUAL, number, 0, 1), (RETURN, DENY, 0, 0)] if number >= 0 else []
    program += [(EQUAL, CLONE3[column], 0, 1), (RETURN, MISSING, 0, 0)]
    program += [(EQUAL, CLONE[column], 0, 4), (LOAD, FIRST_ARGUMENT, 0, 0)]
    program += [(ANY_BIT, NEW_NAMESPACES, 0, 1), (RETURN, DENY, 0, 0), (RETURN, ALLOW, 0, 0)]
    program += [(EQUAL, SOCKET[column], 1, 0), (RETURN, ALLOW, 0, 0), (LOAD, FIRST_ARGUMENT, 0, 0)]
    for family in FAMILIES:
        program += [(EQUAL, family, 0, 1), (RETURN, ALLOW, 0, 0)]
    program += [(RETURN, DENY, 0, 0)]
    return b"".join(struct.pack("<HBBI", code, yes, no, value) for code, value, yes, no in program)


def build_profile(default: dict[str, Any]) -> dict[str, Any]:
    """Return podman's default profile without the denied calls, some of which podman allows."""
    denied = {*DENIED.split()[::3], "clone", "clone3", "socket"}
    calls = [entry | {"names": sorted({*entry["names"]} - denied)} for entry in default["syscalls"]]
    flags = {"index": 0, "value": NEW_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    calls.append({"names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": [flags]})
    calls.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS})
    for family in FAMILIES:
        is_family = {"index": 0, "value": int(family), "valueTwo": 0, "op": "SCMP_CMP_EQ"}
        calls.append({"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [is_family]})
    return default | {"syscalls": [entry for entry in calls if entry["names"]]}
