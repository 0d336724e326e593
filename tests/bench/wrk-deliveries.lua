-- Signed deliveries for wrk: bodies and signatures are made beforehand (BODIES), so that the client does nothing but
-- give each request an id of its own.
local bodies = {}

function init(args)
    for line in io.lines(args[1]) do
        local event, signature, file = line:match("^(%S+) (%S+) (.+)$")
        local handle = assert(io.open(file, "rb"))
        bodies[#bodies + 1] = { event, signature, handle:read("a") }
        handle:close()
    end
    math.randomseed(tonumber(args[2]))
    run = math.random(0, 0xffff)
    count = 0
end

function request()
    count = count + 1
    local body = bodies[count % #bodies + 1]
    return wrk.format("POST", nil, {
        ["Content-Type"] = "application/json",
        ["User-Agent"] = "GitHub-Hookshot/044aadd",
        ["X-GitHub-Event"] = body[1],
        ["X-GitHub-Delivery"] = string.format("%08x-%04x-4000-8000-%012x", os.time(), run, count),
        ["X-Hub-Signature-256"] = body[2],
    }, body[3])
end

function done(summary, latency)
    local bad = summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status +
        summary.errors.timeout
    print(string.format("RESULT %d %d %d %d", summary.requests, summary.duration, latency:percentile(99), bad))
end
