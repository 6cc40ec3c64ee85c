/* What an SDP body says of how its media travels (RFC 8866 §5.14): no parser, a look at the m= lines. */
#ifndef DUPLEX_SIGNALLING_SDP_H
#define DUPLEX_SIGNALLING_SDP_H

#include "signalling/sip_msg.h"

enum sdp_media {
	SDP_NONE, /* no body, or no audio and video in it */
	SDP_RTP,  /* RTP, plain or with keys in the SDP (RTP/AVP, RTP/AVPF, RTP/SAVP, RTP/SAVPF): what phones speak */
	SDP_DTLS, /* DTLS-SRTP (RFC 5764): what browsers speak, and nothing else */
};

/* Of the first audio or video line that is not switched off. */
enum sdp_media sdp_media_of(const struct sip_msg *m);

#endif
