-- How often engines hung, for Prometheus. The watchdog counts in a file of each replica, so a reload loses nothing, and
-- what is told is what `enginehouse status` tells. The files are tiny and on this machine.

local REPLICAS = {
    { name = "chat-laptop-0", folder = [==[@{part}/../chat-laptop-0/run/]==] },
    { name = "code-laptop-0", folder = [==[@{part}/../code-laptop-0/run/]==] },
    { name = "code-laptop-1", folder = [==[@{part}/../code-laptop-1/run/]==] },
}

local function first_line(path)
    local file = io.open(path)
    if not file then
        return nil
    end
    local line = file:read("l")
    file:close()
    return line
end

local function family(name, kind, help, value)
    local lines = { "# HELP " .. name .. " " .. help, "# TYPE " .. name .. " " .. kind }
    for _, replica in ipairs(REPLICAS) do
        lines[#lines + 1] = name .. '{replica="' .. replica.name .. '"} ' .. value(replica)
    end
    return table.concat(lines, "\n") .. "\n"
end

local function hangs(replica)
    return (first_line(replica.folder .. "hangs") or ""):match("^%d+") or "0"
end

local function hung(replica)
    return first_line(replica.folder .. "hung") and "1" or "0"
end

local function engines(applet)
    local text = family("enginehouse_engine_hangs_total", "counter", "Times that the engine hung.", hangs)
        .. family("enginehouse_engine_hung", "gauge", "1 while the engine hangs or is not known to work again.", hung)
    applet:set_status(200)
    applet:add_header("content-type", "text/plain; version=0.0.4")
    applet:add_header("content-length", #text)
    applet:start_response()
    applet:send(text)
end

core.register_service("engines", "http", engines)
