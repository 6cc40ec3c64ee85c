#include "signalling/conn_line.h"

#include <stdlib.h>

#include "signalling/conn_int.h"
#include "signalling/edge_int.h"

enum err conn_line_open(struct conns *cs, struct link *l, const struct login *who, struct conn **out)
{
	struct worker *w = cs->w;
	struct line *line;

	if (w->draining || w->emptied || l->dead || conn_count_user(cs, who->user) >= w->conf->connections_per_user)
		return ERR_FULL;
	struct conn *c = conn_make(cs, -1, l->kind == LINK_UDP ? FLOW_UNRELIABLE : 0);
	if (c == NULL)
		return ERR_FULL;
	line = calloc(1, sizeof(*line));
	if (line == NULL || conn_adopt(c, who->user, who->session, str_from(l->ip), who->revision, who->perms) != ERR_OK) {
		free(line);
		conn_abandon(c, 0);
		return ERR_NO_MEMORY;
	}
	line->conn = c;
	line->link = l;
	list_append(&l->lines, &line->by_link);
	(void)(str_copy(who->sha256, line->ha1[DIGEST_SHA256], sizeof(line->ha1[0])) == ERR_OK);
	(void)(str_copy(who->md5, line->ha1[DIGEST_MD5], sizeof(line->ha1[0])) == ERR_OK);
	c->line = line;
	conn_opened(c);
	*out = c;
	return ERR_OK;
}

void conn_line_free(struct line *line)
{
	if (line == NULL)
		return;
	list_remove(&line->by_link);
	link_line_gone(line->link);
	buf_fini(&line->held);
	free(line);
}

void conn_line_registered(struct conn *c, struct str instance)
{
	if (c->line != NULL && str_copy(instance, c->line->instance, sizeof(c->line->instance)) != ERR_OK)
		c->line->instance[0] = '\0';
}

bool conn_line_datagrams(const struct conn *c)
{
	return c->line != NULL && c->line->link->kind == LINK_UDP;
}
