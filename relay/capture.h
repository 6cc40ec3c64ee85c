/* The frames of one allocation, copied as they pass, for a person who looks into a call (`duplexctl relay capture`). Payload is copied too,
 * as it is: SRTP stays encrypted. Each worker writes into a ring of its own, whole records of the pcap format, so that whoever reads only
 * carries bytes; when a ring is full a frame is left out and counted. While nobody captures it costs a worker one load a burst. */
#ifndef DUPLEX_RELAY_CAPTURE_H
#define DUPLEX_RELAY_CAPTURE_H

#include "relay/pkt.h"

#define CAPTURE_HEADER_LEN 24u /* of a pcap file */

struct capture;

/* What is looked for: everything between the relay and this client, and everything at this relayed address. Ports in host order. */
struct capture_ends {
	struct addr client, relay;
	uint16_t client_port, relay_port;
	bool on_stream;        /* the client came over TCP or TLS */
	uint32_t stream;       /* then the handle of its connection, by which its messages are known */
	uint16_t service_port; /* and the port that they are shown to go to and come from */
};

/* Frames are cut at `snap` bytes. ERR_NO_MEMORY. */
enum err capture_new(const struct capture_ends *ends, unsigned workers, uint32_t snap, struct capture **out);
void capture_free(struct capture *c);

/* By worker `id`: takes the frame, as received or as about to be sent, if it is one of those looked for. */
void capture_frame(struct capture *c, unsigned id, const struct pkt *p, uint64_t wall_us);

/* By worker `id`: one message of a client on a stream, [data, data + len) of `p`, before it is handled, or as it goes to the client. It is shown as a
 * UDP datagram between the client and the relayed address, the service's port at the latter: what the stream carries, without TCP and TLS. Where
 * the families of the two differ IPv4 stands in IPv6 as ::ffff:a.b.c.d. */
void capture_message(struct capture *c, unsigned id, uint32_t stream, bool to_client, const struct pkt *p, uint64_t wall_us);

/* By one reader. The header of the file: microseconds, link type Ethernet. */
void capture_header(const struct capture *c, uint8_t out[CAPTURE_HEADER_LEN]);
/* Whole records, as many as fit into `max` bytes. Returns the bytes; *frames grows by the records. */
size_t capture_read(struct capture *c, void *to, size_t max, uint64_t *frames);
uint64_t capture_missed(const struct capture *c);

#endif
