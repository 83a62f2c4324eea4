-- Two short waits that HAProxy has no words for. How many requests wait at once is bounded where `hold` is called.

local POLL_MS = 50
local SETTLE_MS = 10
local SETTLE_POLLS = 10

-- HAProxy gives Lua 0 and 1 for a truth, and since 3.1 true and false (its `tune.lua.bool-sample-conversion`).
local function is_stopping(txn)
    local stopping = txn.f:stopping()
    return stopping == 1 or stopping == true
end

-- Parks a request while its backend has no usable server, so that swapping an only replica costs a wait and not an error:
-- HAProxy queues while some server is usable but full, and answers 503 at once when none is.
-- In a worker that was replaced by a reload no server counts as usable, and nothing set through the runtime socket
-- arrives any more, so there the wait is over at once (measured 2026-11, HAProxy 2.6.12 and 2.8.25).
local function hold(txn, backend, limit_ms)
    for _ = 1, tonumber(limit_ms) // POLL_MS do
        if txn.f:nbsrv(backend) > 0 or is_stopping(txn) then
            return
        end
        core.msleep(POLL_MS)
    end
end

-- Gives requests of the same client that are just over the time to leave the count. A client sees the last byte of an
-- answer a moment before HAProxy takes the request off the count, and must not be refused for being quick.
local function settle(txn)
    local limit = txn:get_var("txn.concurrent")
    for _ = 1, SETTLE_POLLS do
        if txn.f:sc_conn_cur(0) <= limit then
            return
        end
        core.msleep(SETTLE_MS)
    end
end

core.register_action("hold", { "http-req" }, hold, 2)
core.register_action("settle", { "http-req" }, settle, 0)
