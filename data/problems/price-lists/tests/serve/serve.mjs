/**
 * Run the submission's command line, in the current folder, for the tests.
 *
 * A request is {"files": {name: text}, "args": [...]}. The command runs in a new folder with these files. The response
 * is {"code", "stdout", "stderr", "files"} with the files afterwards.
 */

import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { text } from "node:stream/consumers";

const PORT = 8703;
const TIMEOUT_MS = 10_000;
const PROGRAM = resolve("bin/pricebook.js");

function execute(args, cwd) {
  return new Promise((done) => {
    const options = { cwd, timeout: TIMEOUT_MS, killSignal: "SIGKILL" };
    execFile(process.execPath, [PROGRAM, ...args], options, (error, stdout, stderr) => {
      done({ code: error ? (error.code ?? null) : 0, stdout, stderr });
    });
  });
}

async function run({ files, args }) {
  const folder = await mkdtemp(join(tmpdir(), "run-"));
  try {
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(folder, name), content);
    }
    const result = await execute(args, folder);
    const names = await readdir(folder);
    const contents = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")));
    return { ...result, files: Object.fromEntries(names.map((name, index) => [name, contents[index]])) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

createServer(async (request, response) => {
  try {
    response.end(JSON.stringify(await run(JSON.parse(await text(request)))));
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
}).listen(PORT, "127.0.0.1");
