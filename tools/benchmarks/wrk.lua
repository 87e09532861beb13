-- Sends the requests of a file in turn: wrk ... -- FILE. They are separated by NUL; "[<id>]" in one becomes the
-- number of the request, in ten digits. Prints what came of it as one line of JSON.

local requests, sent = {}, 0

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  for text in file:read("*a"):gmatch("%Z+") do
    local from, to = text:find("[<id>]", 1, true)
    if from then
      requests[#requests + 1] = { text:sub(1, from - 1), text:sub(to + 1) }
    else
      requests[#requests + 1] = { text }
    end
  end
  file:close()
end

function request()
  sent = sent + 1
  local found = requests[sent % #requests + 1]
  return found[2] and found[1] .. string.format("%010d", sent) .. found[2] or found[1]
end

function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format(
    '{"answers": %d, "seconds": %f, "median_ms": %f, "errors": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
