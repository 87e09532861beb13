-- Sends the NUL-separated requests in a file in order, starting over at its end: wrk ... -- FILE.
-- Prints the outcome as one line of JSON.

local requests, sent = {}, 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  for text in file:read("*a"):gmatch("%Z+") do
    requests[#requests + 1] = text
  end
  file:close()
end

function request()
  sent = sent + 1
  return requests[sent % #requests + 1]
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    '{"responses": %d, "seconds": %f, "median_ms": %f, "errors": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
