-- wrk's side of a run: sends each prepared request once, in order, and tells what came back.
-- Arguments: the file of requests and the length of each; all are equally long.
local file, length

function init(arguments)
    file = assert(io.open(arguments[1], "rb"))
    length = tonumber(arguments[2])
end

function request()
    local prepared = file:read(length)
    if prepared == nil or #prepared < length then
        -- Whoever runs out of requests has measured nothing: the error shows in the counts.
        return "GET /no-request-left HTTP/1.1\r\nHost: localhost\r\n\r\n"
    end
    return prepared
end

function done(summary, latency, requests)
    io.write(string.format(
        'RESULT {"requests": %d, "duration_us": %d, "errors": %d, "statuses": %d, ' ..
        '"p50_us": %d, "p99_us": %d, "max_us": %d}\n',
        summary.requests, summary.duration,
        summary.errors.connect + summary.errors.read + summary.errors.write +
            summary.errors.timeout,
        summary.errors.status,
        latency:percentile(50), latency:percentile(99), latency.max))
end
