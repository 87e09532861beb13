// Sends the requests of a file one after another with autocannon, which npx has put on the PATH:
//   node autocannon.cjs URL FILE CONNECTIONS SECONDS TIMEOUT_SECONDS
// Starts over at the end of the file. Prints the outcome as one line of JSON.
const { existsSync, readFileSync } = require("fs")
const { delimiter, join, resolve } = require("path")

const programs = process.env.PATH.split(delimiter).find((folder) => existsSync(join(folder, "autocannon")))
const autocannon = require(resolve(programs, "..", "autocannon"))

const [url, file, connections, duration, timeout] = process.argv.slice(2)
const requests = JSON.parse(readFileSync(file, "utf8"))
let sent = 0

function setupRequest(request) {
  sent += 1
  return { ...request, ...requests[sent % requests.length] }
}

autocannon({ url, connections: +connections, duration: +duration, timeout: +timeout, requests: [{ setupRequest }] })
  .then((result) => console.log(JSON.stringify({
    responses: result["2xx"] + result.non2xx,
    seconds: result.duration,
    median_ms: result.latency.p50,
    errors: result.non2xx + result.errors + result.timeouts,
  })))
