/* One event a line on stderr: `time level program event key=value …`. Values with blanks or quotes are quoted and escaped, so a line can
 * never be forged by input. Levels by meaning: ERROR = a person must act, WARN = degraded, INFO = life of the process and of calls,
 * DEBUG = everything else. Never secrets, tokens, SDP or message bodies. The relay's packet path counts instead of logging. */
#ifndef DUPLEX_COMMON_LOG_H
#define DUPLEX_COMMON_LOG_H

#include "common/str.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* `program` is borrowed for ever (a literal). */
void log_init(const char *program, enum log_level level);
/* "error", "warn", "info", "debug". */
enum err log_level_from(struct str name, enum log_level *out);
bool log_enabled(enum log_level level);

/* log_event(LOG_INFO, "call-ended", "id=%s reason=%s", …): `fmt` makes key=value pairs; use log_value() for foreign text. */
void log_event(enum log_level level, const char *event, const char *fmt, ...) PRINTF(3, 4);

/* `s` made safe as a value (quoted where needed, control bytes as \xNN, cut at 200 bytes) in one of 8 rotating thread-local buffers. */
const char *log_value(struct str s);

#endif
