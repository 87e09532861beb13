"""The system calls that a bubblewrap sandbox must not use, as a BPF program.

Containers have their engine's own, longer list. Calls that return ENOSYS have an older form that programs use instead.
"""

import errno
import platform
import socket
import struct

# Number on x86_64 and aarch64 (None: does not exist there).
DENIED: dict[str, tuple[int, int | None]] = {
    # Other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    # Mounts and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # Parts of the kernel with a history of holes
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "vmsplice": (278, 75),
    "modify_ldt": (154, None),
    # The machine
    "syslog": (103, 116),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "iopl": (172, None),
    "ioperm": (173, None),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "personality": (135, 92),
}
CLONE, CLONE3, SOCKET = (56, 220), (435, 435), (41, 198)
NEW_NAMESPACES = 0x7E020080  # CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET, NEWTIME
ALLOWED_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
FIRST_X32_CALL = 0x40000000

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
ALLOW, KILL = 0x7FFF0000, 0x80000000
DENY = 0x00050000 | errno.EPERM
MISSING = 0x00050000 | errno.ENOSYS


def build_filter() -> bytes:
    """Return the program for this machine's architecture (an array of `struct sock_filter`)."""
    column, architecture = ARCHITECTURES[platform.machine()]
    program: list[tuple[int, int, int, int]] = []

    def add(code: int, value: int, if_true: int = 0, if_false: int = 0) -> None:
        program.append((code, if_true, if_false, value))

    def answer(number: int, result: int) -> None:
        add(EQUAL, number, 0, 1)
        add(RETURN, result)

    add(LOAD, ARCHITECTURE)
    add(EQUAL, architecture, 1, 0)
    add(RETURN, KILL)
    add(LOAD, NUMBER)
    if column == 0:
        add(AT_LEAST, FIRST_X32_CALL, 0, 1)
        add(RETURN, DENY)
    for numbers in DENIED.values():
        if (number := numbers[column]) is not None:
            answer(number, DENY)
    answer(CLONE3[column], MISSING)
    # The flags of clone and the family of socket are their first arguments.
    add(EQUAL, CLONE[column], 0, 4)
    add(LOAD, FIRST_ARGUMENT)
    add(ANY_BIT, NEW_NAMESPACES, 0, 1)
    add(RETURN, DENY)
    add(RETURN, ALLOW)
    add(EQUAL, SOCKET[column], 1, 0)
    add(RETURN, ALLOW)
    add(LOAD, FIRST_ARGUMENT)
    for family in ALLOWED_FAMILIES:
        answer(family, ALLOW)
    add(RETURN, DENY)
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
