#include "signalling/presence_doc.h"

/* Cannot occur in the parts: they hold no line that starts with two hyphens. */
#define BOUNDARY "duplex-presence-part"
#define FRAME_MAX 512u /* everything that is there once, but for the domain in it */

const char *presence_status_name(enum presence_status s)
{
	switch (s) {
	case PRESENCE_OFFLINE: return "offline";
	case PRESENCE_ONLINE: return "online";
	case PRESENCE_BUSY: return "busy";
	case PRESENCE_DND: return "dnd";
	}
	return "offline";
}

void presence_doc_type_put(struct buf *out, struct str domain)
{
	buf_printf(out, "multipart/related;type=\"application/rlmi+xml\";start=\"<contacts@%.*s>\";boundary=\"" BOUNDARY "\"", STR_FMT(domain));
}

static void resource_put(struct buf *out, struct str domain, const struct presence_item *it, bool body)
{
	buf_printf(out, "<resource uri=\"sip:%.*s@%.*s\"", STR_FMT(it->user), STR_FMT(domain));
	if (body)
		buf_printf(out, "><instance id=\"1\" state=\"active\" cid=\"%.*s@%.*s\"/></resource>\n", STR_FMT(it->user), STR_FMT(domain));
	else
		buf_z(out, "/>\n");
}

static void pidf_put(struct buf *out, struct str domain, const struct presence_item *it)
{
	buf_printf(out,
		   "--" BOUNDARY "\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <%.*s@%.*s>\r\n"
		   "Content-Type: application/pidf+xml;charset=\"UTF-8\"\r\n\r\n"
		   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		   "<presence xmlns=\"urn:ietf:params:xml:ns:pidf\" entity=\"sip:%.*s@%.*s\"><tuple id=\"t1\"><status><basic>%s</basic></status>"
		   "<note>%s</note></tuple></presence>\r\n",
		   STR_FMT(it->user), STR_FMT(domain), STR_FMT(it->user), STR_FMT(domain),
		   it->status == PRESENCE_OFFLINE ? "closed" : "open", presence_status_name(it->status));
}

/* Bytes that the names of items[from…] take in a full list. */
static size_t names_len(struct str domain, const struct presence_item *items, size_t from, size_t count)
{
	size_t len = 0;

	for (size_t i = from; i < count; i++)
		len += sizeof("<resource uri=\"sip:@\"/>\n") + items[i].user.len + domain.len;
	return len;
}

enum err presence_doc_put(struct buf *out, struct str domain, uint32_t version, bool full, struct presence_item *items, size_t count)
{
	struct buf list = buf_growing(PRESENCE_DOC_MAX), parts = buf_growing(PRESENCE_DOC_MAX);
	size_t names = full ? names_len(domain, items, 0, count) : 0, frame = FRAME_MAX + 2 * domain.len;

	for (size_t i = 0; i < count; i++) {
		struct presence_item *it = &items[i];
		size_t list_at = list.len, parts_at = parts.len;

		it->told = false;
		names -= full ? names_len(domain, items, i, i + 1) : 0;
		if (it->tell) {
			resource_put(&list, domain, it, true);
			pidf_put(&parts, domain, it);
			it->told = !list.overflow && !parts.overflow && list.len + parts.len + names + frame <= PRESENCE_DOC_MAX;
		}
		if (it->told)
			continue;
		list.len = list_at;
		parts.len = parts_at;
		list.overflow = parts.overflow = false;
		if (full && list.len + parts.len + names_len(domain, items, i, i + 1) + frame <= PRESENCE_DOC_MAX)
			resource_put(&list, domain, it, false);
	}
	buf_printf(out,
		   "--" BOUNDARY "\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <contacts@%.*s>\r\n"
		   "Content-Type: application/rlmi+xml;charset=\"UTF-8\"\r\n\r\n"
		   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		   "<list xmlns=\"urn:ietf:params:xml:ns:rlmi\" uri=\"sip:contacts@%.*s\" version=\"%u\" fullState=\"%s\">\n",
		   STR_FMT(domain), STR_FMT(domain), version, full ? "true" : "false");
	buf_str(out, buf_view(&list));
	buf_z(out, "</list>\r\n");
	buf_str(out, buf_view(&parts));
	buf_z(out, "--" BOUNDARY "--\r\n");
	enum err e = list.overflow || out->len > PRESENCE_DOC_MAX ? ERR_TOO_LARGE : buf_err(out);
	buf_fini(&list);
	buf_fini(&parts);
	return e;
}
