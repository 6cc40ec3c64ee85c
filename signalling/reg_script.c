#include "signalling/reg_script.h"

/* Shared head: `bindings(now)` reads the hash, deletes what has expired, and gives field -> value and their number. */
#define LUA_BINDINGS                                                                                  \
	"local function split(v) return string.match(v, '^([^\\n]*)\\n(%d+)\\n(%d+)\\n(%d+)\\n%d\\n([^\\n]*)\\n([^\\n]*)\\n') end\n" \
	"local function bindings(now)\n"                                                              \
	"  local flat, all, n, purged = redis.call('HGETALL', KEYS[1]), {}, 0, 0\n"                   \
	"  for i = 1, #flat, 2 do\n"                                                                  \
	"    local token, expires = split(flat[i + 1])\n"                                             \
	"    if token and tonumber(expires) > now then all[flat[i]] = flat[i + 1]; n = n + 1\n"       \
	"    else redis.call('HDEL', KEYS[1], flat[i]); purged = purged + 1 end\n"                    \
	"  end\n"                                                                                     \
	"  return all, n, purged\n"                                                                   \
	"end\n"                                                                                       \
	"local function list(out, all)\n"                                                             \
	"  for field, value in pairs(all) do out[#out + 1] = field; out[#out + 1] = value end\n"      \
	"  return out\n"                                                                              \
	"end\n"                                                                                       \
	"local function stale(value, call, cseq)\n"                                                   \
	"  local _, _, old_cseq, _, _, old_call = split(value)\n"                                     \
	"  return old_call == call and tonumber(cseq) <= tonumber(old_cseq)\n"                        \
	"end\n"

struct rds_script reg_script_save = {
	.source = LUA_BINDINGS
	"local now, field, value, call, cseq, max = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])\n"
	"if redis.call('EXISTS', KEYS[2]) == 0 or redis.call('HGET', KEYS[4], 'state') == 'disabled' then\n"
	"  return { 'session' }\n"
	"end\n"
	"local all, before = bindings(now)\n"
	"local superseded, evicted, new, _, _, updated = '', '', split(value)\n"
	"if all[field] then\n"
	"  local token, _, _, old_updated = split(all[field])\n"
	"  local old = stale(all[field], call, cseq)\n"
	"  if ARGV[7] == 'again' then old = tonumber(old_updated) > tonumber(updated) end\n"
	"  if old then return list({ 'stale', '', '', 0, before }, all) end\n"
	"  if token ~= new then superseded = token end\n"
	"elseif before >= max then\n"
	"  local oldest, at\n"
	"  for f, v in pairs(all) do\n"
	"    local _, _, _, updated = split(v)\n"
	"    if not at or tonumber(updated) < at then oldest, at = f, tonumber(updated) end\n"
	"  end\n"
	"  evicted = split(all[oldest])\n"
	"  redis.call('HDEL', KEYS[1], oldest)\n"
	"  all[oldest] = nil\n"
	"end\n"
	"all[field] = value\n"
	"redis.call('HSET', KEYS[1], field, value)\n"
	"local last = 0\n"
	"for _, v in pairs(all) do\n"
	"  local _, expires = split(v)\n"
	"  last = math.max(last, tonumber(expires))\n"
	"end\n"
	"redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last))\n"
	"local status = redis.call('HGET', KEYS[4], 'dnd') == '1' and 'dnd' or 'ok'\n"
	"return list({ status, superseded, evicted, redis.call('XLEN', KEYS[3]), before }, all)\n",
};

struct rds_script reg_script_remove = {
	.source = LUA_BINDINGS
	"local now, field, call, cseq = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]\n"
	"local all, before = bindings(now)\n"
	"local removed = 0\n"
	"for f, v in pairs(all) do\n"
	"  if field == '*' or field == f then\n"
	"    if stale(v, call, cseq) then return list({ 'stale', 0 }, all) end\n"
	"  end\n"
	"end\n"
	"for f, v in pairs(all) do\n"
	"  if field == '*' or field == f then\n"
	"    redis.call('HDEL', KEYS[1], f)\n"
	"    all[f] = nil\n"
	"    removed = 1\n"
	"  end\n"
	"end\n"
	"return list({ 'ok', removed }, all)\n",
};

struct rds_script reg_script_drop = {
	.source = LUA_BINDINGS
	"local now, field, token, session = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]\n"
	"local all, left, removed = bindings(now)\n"
	"for f, v in pairs(all) do\n"
	"  local t, _, _, _, s = split(v)\n"
	"  if (field == '*' or field == f) and (token == '' or token == t) and (session == '' or session == s) then\n"
	"    redis.call('HDEL', KEYS[1], f)\n"
	"    removed = removed + 1\n"
	"    left = left - 1\n"
	"  end\n"
	"end\n"
	"return { 'ok', removed, left }\n",
};
