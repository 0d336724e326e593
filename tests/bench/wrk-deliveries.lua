-- Signed deliveries for wrk: requests are made beforehand, so that the client, which has one processor, does nothing but give
-- each an id of its own.
local PLACE = "the-id-of-a-delivery"
local requests = {}

function init(args)
    for line in io.lines(args[1]) do
        local event, signature, file = line:match("^(%S+) (%S+) (.+)$")
        local handle = assert(io.open(file, "rb"))
        local text = wrk.format("POST", nil, {
            ["Content-Type"] = "application/json",
            ["User-Agent"] = "GitHub-Hookshot/044aadd",
            ["X-GitHub-Event"] = event,
            ["X-GitHub-Delivery"] = PLACE,
            ["X-Hub-Signature-256"] = signature,
        }, handle:read("a"))
        handle:close()
        local from, to = text:find(PLACE, 1, true)
        requests[#requests + 1] = { text:sub(1, from - 1), text:sub(to + 1) }
    end
    math.randomseed(tonumber(args[2]))
    run = math.random(0, 0xffff)
    count = 0
end

function request()
    count = count + 1
    local one = requests[count % #requests + 1]
    return one[1] .. string.format("%08x-%04x-4000-8000-%012x", os.time(), run, count) .. one[2]
end

function done(summary, latency)
    local bad = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status +
        summary.errors.timeout
    print(string.format("RESULT %d %d %d %d", summary.requests, summary.duration, latency:percentile(99), bad))
end
