/* Every reason for which a frame is not answered or forwarded. Each received frame is either sent on, held for
 * a neighbour or counted under exactly one of these. */
#ifndef DUPLEX_RELAY_DROPS_H
#define DUPLEX_RELAY_DROPS_H

#include "common/counter.h"

#define DROPS(X)                                                                                        \
	X(DROP_FRAME_SHORT, "frame_short", "frame ends inside its headers")                             \
	X(DROP_FRAME_SEGMENTED, "frame_segmented", "frame in more than one buffer")                     \
	X(DROP_ETHERTYPE, "ethertype", "neither IP of a family the port has, nor ARP")                  \
	X(DROP_VLAN, "vlan", "tag of another VLAN, or none where the port has one")                  \
	X(DROP_NOT_OURS, "not_ours", "Ethernet or IP destination is not this relay")                    \
	X(DROP_IP_HEADER, "ip_header", "bad IP version, length or checksum")                            \
	X(DROP_IP_OPTIONS, "ip_options", "IPv4 options")                                                \
	X(DROP_IP_EXTENSION, "ip_extension", "IPv6 extension headers")                                  \
	X(DROP_IP_FRAGMENT, "ip_fragment", "fragment that fits no datagram: not UDP, too large, overlapping, twice, or no room") \
	X(DROP_FRAGMENT_TAKEN, "fragment_taken", "fragment whose content went into the datagram that the last one completes") \
	X(DROP_IP_SOURCE, "ip_source", "source address that no host can have, or our own")              \
	X(DROP_IP_PROTOCOL, "ip_protocol", "neither UDP nor ICMP")                                      \
	X(DROP_UDP_HEADER, "udp_header", "bad UDP length or port 0")                                    \
	X(DROP_UDP_CHECKSUM, "udp_checksum", "wrong UDP checksum")                                      \
	X(DROP_UDP_PORT, "udp_port", "UDP port where nothing listens")                                  \
	X(DROP_ARP_MALFORMED, "arp_malformed", "ARP that is not Ethernet and IPv4, or lies about itself") \
	X(DROP_ARP_DONE, "arp_done", "ARP that was taken note of and needs no answer")                  \
	X(DROP_ND_MALFORMED, "nd_malformed", "neighbour discovery against RFC 4861 §7.1, or that lies about itself") \
	X(DROP_ND_DONE, "nd_done", "neighbour discovery that was taken note of and needs no answer")    \
	X(DROP_ADDRESS_CLAIMED, "address_claimed", "somebody else says to have our address")            \
	X(DROP_ICMP_ERROR, "icmp_error", "ICMP error about something the relay sent")                   \
	X(DROP_ICMP_OTHER, "icmp_other", "ICMP that is no echo request, or is damaged")                 \
	X(DROP_NOT_TURN, "not_turn", "on the TURN port, neither STUN nor channel data")                 \
	X(DROP_STUN_MALFORMED, "stun_malformed", "not a STUN message by its structure")                 \
	X(DROP_STUN_FINGERPRINT, "stun_fingerprint", "STUN with a wrong FINGERPRINT")                   \
	X(DROP_STUN_UNEXPECTED, "stun_unexpected", "STUN response, indication or method with no meaning here") \
	X(DROP_CHALLENGE_LIMIT, "challenge_limit", "unauthenticated request beyond its prefix's budget") \
	X(DROP_REPLY_SPACE, "reply_space", "the answer does not fit into the buffer")                   \
	X(DROP_NO_ALLOCATION, "no_allocation", "data from a client without allocation")                 \
	X(DROP_CLIENT_MOVING, "client_moving", "its client was changing its address at that instant")   \
	X(DROP_NO_CHANNEL, "no_channel", "channel data for a channel that is not bound")                \
	X(DROP_CHANNEL_LENGTH, "channel_length", "channel data whose length field does not fit the datagram") \
	X(DROP_SEND_MALFORMED, "send_malformed", "Send indication without what it needs, or with what is not understood") \
	X(DROP_NO_PERMISSION, "no_permission", "no permission for this peer")                           \
	X(DROP_PEER_PORT, "peer_port", "relayed port that no allocation holds")                         \
	X(DROP_HAIRPIN_GONE, "hairpin_gone", "peer on this relay whose allocation is gone")             \
	X(DROP_HAIRPIN_PERMISSION, "hairpin_permission", "peer on this relay gave no permission")       \
	X(DROP_LIMIT_VIDEO, "limit_video", "video beyond the bandwidth of an allocation or user")       \
	X(DROP_LIMIT_AUDIO, "limit_audio", "audio beyond it")                                           \
	X(DROP_LIMIT_OTHER, "limit_other", "anything else beyond it")                                   \
	X(DROP_TTL, "ttl", "time to live or hop limit used up")                                                      \
	X(DROP_TOO_BIG, "too_big", "larger than the port's MTU after encapsulation")                    \
	X(DROP_NO_ROUTE, "no_route", "no port and no gateway for the destination")                      \
	X(DROP_NEIGHBOUR_WAIT, "neighbour_wait", "neighbour not resolved in time")                      \
	X(DROP_NEIGHBOUR_QUEUE, "neighbour_queue", "too many frames wait for neighbours")               \
	X(DROP_STREAM_RING, "stream_ring", "data for a client on TCP, no room between the workers and its thread")   \
	X(DROP_STREAM_GONE, "stream_gone", "for a TCP connection that is gone")                         \
	X(DROP_STREAM_LATE, "stream_late", "media that waited longer than stream-queue for a client on TCP") \
	X(DROP_STREAM_FULL, "stream_full", "media beyond stream-queue-bytes or stream-memory")          \
	X(DROP_TX_FULL, "tx_full", "the device took no more frames")

COUNTER_ENUM(drop, DROPS, DROP_COUNT);
extern const struct counter_name drop_names[DROP_COUNT];

#endif
