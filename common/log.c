#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/clock.h"

static const char *program_name = "duplex";
static enum log_level max_level = LOG_INFO;
static const char *const level_names[] = { "error", "warn", "info", "debug" };

void log_init(const char *program, enum log_level level)
{
	program_name = program;
	max_level = level;
}

enum err log_level_from(struct str name, enum log_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (str_eq(name, str_from(level_names[i]))) {
			*out = (enum log_level)i;
			return ERR_OK;
		}
	}
	return ERR_INVALID;
}

bool log_enabled(enum log_level level)
{
	return level <= max_level;
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
	char line[2048], body[1536];
	uint64_t ms = clock_wall_ms();
	time_t s = (time_t)(ms / MS_PER_S);
	struct tm tm;
	va_list ap;

	if (level > max_level)
		return;
	(void)gmtime_r(&s, &tm);
	va_start(ap, fmt);
	(void)vsnprintf(body, sizeof(body), fmt, ap);
	va_end(ap);
	int n = snprintf(line, sizeof(line), "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ %-5s %s %s %s\n", tm.tm_year + 1900,
			 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(ms % MS_PER_S),
			 level_names[level], program_name, event, body);
	if (n > 0) {
		/* One write, so that lines of several processes never mix; a full pipe must not stop a call. */
		ssize_t done = write(STDERR_FILENO, line, MIN((size_t)n, sizeof(line) - 1));
		(void)done;
	}
}

static bool plain(struct str s)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
			return false;
	}
	return s.len > 0;
}

const char *log_value(struct str s)
{
	static _Thread_local char ring[8][256];
	static _Thread_local unsigned next;
	char *slot = ring[next++ % ARRAY_LEN(ring)];
	struct buf b = buf_fixed(slot, sizeof(ring[0]) - 8);

	s = str_sub(s, 0, 200);
	if (plain(s)) {
		buf_str(&b, s);
	} else {
		buf_char(&b, '"');
		for (size_t i = 0; i < s.len && b.len + 8 < b.max; i++) {
			unsigned char c = (unsigned char)s.p[i];

			if (c < ' ' || c >= 0x7f)
				buf_printf(&b, "\\x%02x", c);
			else if (c == '"' || c == '\\')
				buf_printf(&b, "\\%c", c);
			else
				buf_char(&b, (char)c);
		}
		buf_char(&b, '"');
	}
	slot[b.len] = '\0';
	return slot;
}
