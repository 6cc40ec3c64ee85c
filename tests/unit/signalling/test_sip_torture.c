/* The messages of RFC 4475, written from its text. Each is parsed and checked as a whole, and every prefix of each is
 * parsed next to a page without access. `parse` and `check` are the status that refuses it there, 0 = accepted. */
#include <stdio.h>

#include "signalling/sip_check.h"
#include "signalling/sip_msg.h"
#include "signalling/sip_uri.h"
#include "tests/lib/cm.h"
#include "tests/lib/guard.h"

#define CRLF "\r\n"
#define SDP                                                                                                           \
	"v=0" CRLF "o=mhandley 29739 7272939 IN IP4 192.0.2.3" CRLF "s=-" CRLF "c=IN IP4 192.0.2.4" CRLF "t=0 0" CRLF \
	"m=audio 49217 RTP/AVP 0 12" CRLF "m=video 3227 RTP/AVP 31" CRLF "a=rtpmap:31 LPC" CRLF
#define UTF8 "\xd1\x81\xd1\x82\xd1\x80\xd0\xb0\xd0\xbd\xd0\xb8\xd1\x86\xd0\xb0"

static const struct {
	const char *name, *text;
	size_t len;
	unsigned parse, check;
} cases[] = {
#define MSG(name, parse, check, text) { name, text, sizeof(text) - 1, parse, check },
	/* --- 3.1.1 valid messages */
	/* The parser takes it; the front door does not, as its branch is one of RFC 2543. */
	MSG("3.1.1.1 wsinv", 0, 400,
	    "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0" CRLF "TO :" CRLF
	    " sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n" CRLF
	    "from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>" CRLF "  ;" CRLF "  tag = 98asjd8" CRLF
	    "MaX-fOrWaRdS: 0068" CRLF "Call-ID: wsinv.ndaksdj@192.0.2.1" CRLF "Content-Length   : 150" CRLF
	    "cseq: 0009" CRLF "  INVITE" CRLF "Via  : SIP  /   2.0" CRLF " /UDP" CRLF
	    "    192.0.2.2;branch=390skdjuw" CRLF "s :" CRLF "NewFangledHeader:   newfangled value" CRLF
	    " continued newfangled value" CRLF "UnknownHeaderWithUnusualValue: ;;,,;;,;" CRLF
	    "Content-Type: application/sdp" CRLF "Route:" CRLF
	    " <sip:services.example.com;lr;unknownwith=value;unknown-no-value>" CRLF
	    "v:  SIP  / 2.0  / TCP     spindle.example.com   ;" CRLF "  branch  =   z9hG4bK9ikj8  ," CRLF
	    " SIP  /    2.0   / UDP  192.168.255.111   ; branch=" CRLF " z9hG4bK30239" CRLF
	    "m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =" CRLF "      newvalue ;" CRLF
	    "  secondparam ; q = 0.33" CRLF CRLF SDP)
		MSG("3.1.1.2 intmeth", 0, 0,
		    "!interesting-Method0123456789_*+`.%indeed'~ "
		    "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/"
		    ";;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com SIP/2.0" CRLF
		    "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK-.!%66*_+`'~" CRLF
		    "To: \"BEL:\\\x07 NUL:\\\x00 DEL:\\\x7f\" "
		    "<sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*@example.com>" CRLF
		    "From: token1~` token2'+_ token3*%!.- <sip:mundane@example.com>;fromParam''~+*_!.-%=\"" UTF8
		    "\";tag=_token~1'+`*%!-." CRLF "Call-ID: intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{" CRLF
		    "CSeq: 139122385 !interesting-Method0123456789_*+`.%indeed'~" CRLF "Max-Forwards: 255" CRLF
		    "extensionHeader-!.%*+_`'~:" UTF8 CRLF "Content-Length: 0" CRLF
			    CRLF) MSG("3.1.1.3 esc01", 0, 0,
				      "INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0" CRLF
				      "To: sip:%75se%72@example.com" CRLF
				      "From: <sip:I%20have%20spaces@example.net>;tag=938" CRLF "Max-Forwards: 87" CRLF
				      "i: esc01.239409asdfakjkn23onasd0-3234" CRLF "CSeq: 234234 INVITE" CRLF
				      "Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bKkdjuw" CRLF
				      "C: application/sdp" CRLF "Contact:" CRLF
				      "  <sip:cal%6Cer@host5.example.net;%6C%72;n%61me=v%61lue%25%34%31>" CRLF
				      "Content-Length: 150" CRLF CRLF SDP)
			MSG("3.1.1.4 escnull", 0, 0,
			    "REGISTER sip:example.com SIP/2.0" CRLF "To: sip:null-%00-null@example.com" CRLF
			    "From: sip:null-%00-null@example.com;tag=839923423" CRLF "Max-Forwards: 70" CRLF
			    "Call-ID: escnull.39203ndfvkjdasfkq3w4otrq0adsfdfnavd" CRLF "CSeq: 14398234 REGISTER" CRLF
			    "Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bKkdjuw" CRLF
			    "Contact: <sip:%00@host5.example.com>" CRLF "Contact: <sip:%00%00@host5.example.com>" CRLF
			    "L:0" CRLF CRLF) MSG("3.1.1.5 esc02", 0, 0,
						 "RE%47IST%45R sip:registrar.example.com SIP/2.0" CRLF
						 "To: \"%Z%45\" <sip:resource@example.com>" CRLF
						 "From: \"%Z%45\" <sip:resource@example.com>;tag=f232jadfj23" CRLF
						 "Call-ID: esc02.asdfnqwo34rq23i34jrjasdcnl23nrlknsdf" CRLF
						 "Via: SIP/2.0/TCP host.example.com;branch=z9hG4bK209%fzsnel234" CRLF
						 "CSeq: 29344 RE%47IST%45R" CRLF "Max-Forwards: 70" CRLF
						 "Contact: <sip:alias1@host1.example.com>" CRLF
						 "C%6Fntact: <sip:alias2@host2.example.com>" CRLF
						 "Contact: <sip:alias3@host3.example.com>" CRLF "l: 0" CRLF CRLF)
				MSG("3.1.1.6 lwsdisp", 0, 0,
				    "OPTIONS sip:user@example.com SIP/2.0" CRLF "To: sip:user@example.com" CRLF
				    "From: caller<sip:caller@example.com>;tag=323" CRLF "Max-Forwards: 70" CRLF
				    "Call-ID: lwsdisp.1234abcd@funky.example.com" CRLF "CSeq: 60 OPTIONS" CRLF
				    "Via: SIP/2.0/UDP funky.example.com;branch=z9hG4bKkdjuw" CRLF
				    "l: 0" CRLF CRLF) MSG("3.1.1.8 dblreq", 0, 0,
							  "REGISTER sip:example.com SIP/2.0" CRLF
							  "To: sip:j.user@example.com" CRLF
							  "From: sip:j.user@example.com;tag=43251j3j324" CRLF
							  "Max-Forwards: 8" CRLF
							  "I: dblreq.0ha0isndaksdj99sdfafnl3lk233412" CRLF
							  "Contact: sip:j.user@host.example.com" CRLF
							  "CSeq: 8 REGISTER" CRLF
							  "Via: SIP/2.0/UDP 192.0.2.125;branch=z9hG4bKkdjuw23492" CRLF
							  "Content-Length: 0" CRLF CRLF
							  "INVITE sip:joe@example.com SIP/2.0" CRLF
							  "t: sip:joe@example.com" CRLF
							  "From: sip:caller@example.net;tag=141334" CRLF
							  "Max-Forwards: 8" CRLF
							  "Call-ID: dblreq.0ha0isnda977644900765@192.0.2.15" CRLF
							  "CSeq: 8 INVITE" CRLF
							  "Via: SIP/2.0/UDP 192.0.2.15;branch=z9hG4bKkdjuw380234" CRLF
							  "Content-Type: application/sdp" CRLF
							  "Content-Length: 150" CRLF CRLF SDP)
					MSG("3.1.1.9 semiuri", 0, 0,
					    "OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0" CRLF
					    "To: sip:j_user@example.com" CRLF
					    "From: sip:caller@example.org;tag=33242" CRLF "Max-Forwards: 3" CRLF
					    "Call-ID: semiuri.0ha0isndaksdj" CRLF "CSeq: 8 OPTIONS" CRLF
					    "Accept: application/sdp, application/pkcs7-mime," CRLF
					    "        multipart/mixed, multipart/signed," CRLF
					    "        message/sip, message/sipfrag" CRLF
					    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKkdjuw" CRLF "l: 0" CRLF CRLF)
						MSG("3.1.1.10 transports", 0, 0,
						    "OPTIONS sip:user@example.com SIP/2.0" CRLF
						    "To: sip:user@example.com" CRLF
						    "From: <sip:caller@example.com>;tag=323" CRLF
						    "Max-Forwards: 70" CRLF
						    "Call-ID:  transports.kijh4akdnaqjkwendsasfdj" CRLF
						    "Accept: application/sdp" CRLF "CSeq: 60 OPTIONS" CRLF
						    "Via: SIP/2.0/UDP t1.example.com;branch=z9hG4bKkdjuw" CRLF
						    "Via: SIP/2.0/SCTP t2.example.com;branch=z9hG4bKklasjdhf" CRLF
						    "Via: SIP/2.0/TLS t3.example.com;branch=z9hG4bK2980unddj" CRLF
						    "Via: SIP/2.0/UNKNOWN t4.example.com;branch=z9hG4bKasd0f3en" CRLF
						    "Via: SIP/2.0/TCP t5.example.com;branch=z9hG4bK0a9idfnee" CRLF
						    "l: 0" CRLF CRLF)
	/* With a shorter body than the RFC's. */
	MSG("3.1.1.11 mpart01", 0, 0,
	    "MESSAGE sip:kumiko@example.org SIP/2.0" CRLF
	    "Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-;rport" CRLF
	    "Max-Forwards: 70" CRLF "Route: <sip:127.0.0.1:5080>" CRLF
	    "Identity: r5mwreLuyDRYBi/0TiPwEsY3rEVsk/G2WxhgTV1PF7hHuL" CRLF "Contact: <sip:fluffy@127.0.0.1:5070>" CRLF
	    "To: <sip:kumiko@example.org>" CRLF "From: <sip:fluffy@example.com>;tag=2fb0dcc9" CRLF
	    "Call-ID: 3d9485ad0c49859b@Zmx1ZmZ5LW1hYy0xNi5sb2NhbA.." CRLF "CSeq: 1 MESSAGE" CRLF
	    "Content-Transfer-Encoding: binary" CRLF "Content-Type: multipart/mixed;boundary=7a9cbec02ceef655" CRLF
	    "Date: Sat, 15 Oct 2005 04:44:56 GMT" CRLF "User-Agent: SIPimp.org/0.2.5 (curses)" CRLF
	    "Content-Length: 106" CRLF CRLF "--7a9cbec02ceef655" CRLF "Content-Type: text/plain" CRLF CRLF "Hello" CRLF
	    "--7a9cbec02ceef655" CRLF CRLF "\x00\x01\x02\xff\xfe" CRLF "--7a9cbec02ceef655--" CRLF)
		MSG("3.1.1.12 unreason", 0, 0,
		    "SIP/2.0 200 = 2**3 * 5**2 " UTF8 CRLF "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923" CRLF
		    "Call-ID: unreason.1234ksdfak3j2erwedfsASdf" CRLF "CSeq: 35 INVITE" CRLF
		    "From: sip:user@example.com;tag=11141343" CRLF "To: sip:user@example.edu;tag=2229" CRLF
		    "Content-Length: 150" CRLF "Content-Type: application/sdp" CRLF
		    "Contact: <sip:user@host198.example.com>" CRLF CRLF SDP)
			MSG("3.1.1.13 noreason", 0, 0,
			    "SIP/2.0 100 " CRLF "Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe" CRLF
			    "Call-ID: noreason.asndj203insdf99223ndf" CRLF "CSeq: 35 INVITE" CRLF
			    "From: <sip:user@example.com>;tag=39ansfi3" CRLF
			    "To: <sip:user@example.edu>;tag=902jndnke3" CRLF "Content-Length: 0" CRLF
			    "Contact: <sip:user@host105.example.com>" CRLF CRLF)
	/* --- 3.1.2 invalid messages */
	MSG("3.1.2.1 badinv01", 0, 400,
	    "INVITE sip:user@example.com SIP/2.0" CRLF "To: sip:j.user@example.com" CRLF
	    "From: sip:caller@example.net;tag=134161461246" CRLF "Max-Forwards: 7" CRLF
	    "Call-ID: badinv01.0ha0isndaksdjasdf3234nas" CRLF "CSeq: 8 INVITE" CRLF
	    "Via: SIP/2.0/UDP 192.0.2.15;;,;,," CRLF "Contact: \"Joe\" <sip:joe@example.org>;;;;" CRLF
	    "Content-Length: 150" CRLF "Content-Type: application/sdp" CRLF CRLF
		    SDP) MSG("3.1.2.2 clerr", 400, 0,
			     "INVITE sip:user@example.com SIP/2.0" CRLF "Max-Forwards: 80" CRLF
			     "To: sip:j.user@example.com" CRLF "From: sip:caller@example.net;tag=93942939o2" CRLF
			     "Contact: <sip:caller@hungry.example.net>" CRLF
			     "Call-ID: clerr.0ha0isndaksdjweiafasdk3" CRLF "CSeq: 8 INVITE" CRLF
			     "Via: SIP/2.0/UDP host5.example.com;branch=z9hG4bK-39234-23523" CRLF
			     "Content-Type: application/sdp" CRLF "Content-Length: 9999" CRLF CRLF SDP)
		MSG("3.1.2.3 ncl", 400, 0,
		    "INVITE sip:user@example.com SIP/2.0" CRLF "Max-Forwards: 254" CRLF
		    "To: sip:j.user@example.com" CRLF "From: sip:caller@example.net;tag=32394234" CRLF
		    "Call-ID: ncl.0ha0isndaksdj2193423r542w35" CRLF "CSeq: 0 INVITE" CRLF
		    "Via: SIP/2.0/UDP 192.0.2.53;branch=z9hG4bKkdjuw" CRLF
		    "Contact: <sip:caller@example53.example.net>" CRLF "Content-Type: application/sdp" CRLF
		    "Content-Length: -999" CRLF CRLF
			    SDP) MSG("3.1.2.4 scalar02", 400, 0,
				     "REGISTER sip:example.com SIP/2.0" CRLF
				     "Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bK342sdfoi3" CRLF
				     "To: <sip:user@example.com>" CRLF "From: <sip:user@example.com>;tag=239232jh3" CRLF
				     "CSeq: 36893488147419103232 REGISTER" CRLF
				     "Call-ID: scalar02.23o0pd9vanlq3wnrlnewofjas9ui32" CRLF "Max-Forwards: 300" CRLF
				     "Expires: 1"
				     "0000000000000000000000000000000000000000" CRLF
				     "Contact: <sip:user@host129.example.com>" CRLF "  ;expires=280297596632815" CRLF
				     "Content-Length: 0" CRLF CRLF)
			MSG("3.1.2.5 scalarlg", 400, 0,
			    "SIP/2.0 503 Service Unavailable" CRLF
			    "Via: SIP/2.0/TCP host129.example.com;branch=z9hG4bKzzxdiwo34sw;received=192.0.2.129" CRLF
			    "To: <sip:user@example.com>" CRLF "From: <sip:other@example.net>;tag=2easdjfejw" CRLF
			    "CSeq: 9292394834772304023312 OPTIONS" CRLF
			    "Call-ID: scalarlg.noase0of0234hn2qofoaf0232aewf2394r" CRLF
			    "Retry-After: 949302838503028349304023988" CRLF
			    "Warning: 1812 overture \"In Progress\"" CRLF "Content-Length: 0" CRLF
				    CRLF) MSG("3.1.2.6 quotbal", 0, 400,
					      "INVITE sip:user@example.com SIP/2.0" CRLF
					      "To: \"Mr. J. User <sip:j.user@example.com>" CRLF
					      "From: sip:caller@example.net;tag=93334" CRLF "Max-Forwards: 10" CRLF
					      "Call-ID: quotbal.aksdj" CRLF
					      "Contact: <sip:caller@host59.example.net>" CRLF "CSeq: 8 INVITE" CRLF
					      "Via: SIP/2.0/UDP 192.0.2.59:5050;branch=z9hG4bKkdjuw39234" CRLF
					      "Content-Type: application/sdp" CRLF "Content-Length: 150" CRLF CRLF SDP)
				MSG("3.1.2.7 ltgtruri", 0, 400,
				    "INVITE <sip:user@example.com> SIP/2.0" CRLF "To: sip:user@example.com" CRLF
				    "From: sip:caller@example.net;tag=39291" CRLF "Max-Forwards: 23" CRLF
				    "Call-ID: ltgtruri.1@192.0.2.5" CRLF "CSeq: 1 INVITE" CRLF
				    "Via: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKa" CRLF
				    "Contact: <sip:caller@host5.example.net>" CRLF "Content-Type: application/sdp" CRLF
				    "Content-Length: 150" CRLF CRLF
					    SDP) MSG("3.1.2.8 lwsruri", 400, 0,
						     "INVITE sip:user@example.com; lr SIP/2.0" CRLF
						     "To: sip:user@example.com;tag=3xfe-9921883-z9f" CRLF
						     "From: sip:caller@example.net;tag=231413434" CRLF
						     "Max-Forwards: 5" CRLF
						     "Call-ID: lwsruri.asdfasdoeoi2323-asdfwrn23-asd834rk423" CRLF
						     "CSeq: 2130706432 INVITE" CRLF
						     "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKkdjuw2395" CRLF
						     "Contact: <sip:caller@host1.example.net>" CRLF
						     "Content-Type: application/sdp" CRLF
						     "Content-Length: 150" CRLF CRLF SDP)
					MSG("3.1.2.9 lwsstart", 400, 0,
					    "INVITE  sip:user@example.com  SIP/2.0" CRLF "Max-Forwards: 8" CRLF
					    "To: sip:user@example.com" CRLF "From: sip:caller@example.net;tag=8814" CRLF
					    "Call-ID: lwsstart.dfknq234oi243099adsdfnawe3@example.com" CRLF
					    "CSeq: 1893884 INVITE" CRLF
					    "Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bKkdjuw3923" CRLF
					    "Contact: <sip:caller@host1.example.net>" CRLF
					    "Content-Type: application/sdp" CRLF "Content-Length: 150" CRLF CRLF SDP)
						MSG("3.1.2.10 trws", 400, 0,
						    "OPTIONS sip:remote-target@example.com SIP/2.0  " CRLF
						    "Via: SIP/2.0/TCP host1.example.com;branch=z9hG4bK299342093" CRLF
						    "To: <sip:remote-target@example.com>" CRLF
						    "From: <sip:local-resource@example.com>;tag=329429089" CRLF
						    "Call-ID: trws.oicu34958239neffasdhr2345r" CRLF
						    "Accept: application/sdp" CRLF "CSeq: 238923 OPTIONS" CRLF
						    "Max-Forwards: 70" CRLF "Content-Length: 0" CRLF CRLF)
							MSG("3.1.2.11 escruri", 0, 400,
							    "INVITE sip:user@example.com?Route=%3Csip:example.com%3E "
							    "SIP/2.0" CRLF "To: sip:user@example.com" CRLF
							    "From: sip:caller@example.net;tag=341518" CRLF
							    "Max-Forwards: 7" CRLF
							    "Contact: <sip:caller@host39923.example.net>" CRLF
							    "Call-ID: "
							    "escruri.23940-asdfhj-aje3br-234q098w-fawerh2q-h4n5" CRLF
							    "CSeq: 149209342 INVITE" CRLF
							    "Via: SIP/2.0/UDP "
							    "host-of-the-hour.example.com;branch=z9hG4bKkdjuw" CRLF
							    "Content-Type: application/sdp" CRLF
							    "Content-Length: 150" CRLF CRLF SDP)
	/* Date is nothing that a proxy reads. */
	MSG("3.1.2.12 baddate", 0, 0,
	    "INVITE sip:user@example.com SIP/2.0" CRLF "To: sip:user@example.com" CRLF
	    "From: sip:caller@example.net;tag=2234923" CRLF "Max-Forwards: 70" CRLF
	    "Call-ID: baddate.239423mnsadf3j23lj42--sedfnm234" CRLF "CSeq: 1392934 INVITE" CRLF
	    "Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw" CRLF "Date: Fri, 01 Jan 2010 16:00:00 EST" CRLF
	    "Contact: <sip:caller@host5.example.net>" CRLF "Content-Type: application/sdp" CRLF
	    "Content-Length: 150" CRLF CRLF SDP)
		MSG("3.1.2.13 regbadct", 0, 400,
		    "REGISTER sip:example.com SIP/2.0" CRLF "To: sip:user@example.com" CRLF
		    "From: sip:user@example.com;tag=998332" CRLF "Max-Forwards: 70" CRLF
		    "Call-ID: regbadct.k345asrl3fdbv@10.0.0.1" CRLF "CSeq: 1 REGISTER" CRLF
		    "Via: SIP/2.0/UDP 135.180.130.133:5060;branch=z9hG4bKkdjuw" CRLF
		    "Contact: sip:user@example.com?Route=%3Csip:sip.example.com%3E" CRLF
		    "l: 0" CRLF CRLF) MSG("3.1.2.14 badaspec", 0, 400,
					  "OPTIONS sip:user@example.org SIP/2.0" CRLF
					  "Via: SIP/2.0/UDP host4.example.com:5060;branch=z9hG4bKkdju43234" CRLF
					  "Max-Forwards: 70" CRLF
					  "From: \"Bell, Alexander\" <sip:a.g.bell@example.com>;tag=433423" CRLF
					  "To: \"Watson, Thomas\" < sip:t.watson@example.org >" CRLF
					  "Call-ID: badaspec.sdf0234n2nds0a099u23h3hnnw009cdkne3" CRLF
					  "Accept: application/sdp" CRLF "CSeq: 3923239 OPTIONS" CRLF "l: 0" CRLF CRLF)
			MSG("3.1.2.15 baddn", 0, 400,
			    "OPTIONS sip:t.watson@example.org SIP/2.0" CRLF
			    "Via:     SIP/2.0/UDP c.example.com:5060;branch=z9hG4bKkdjuw" CRLF
			    "Max-Forwards:      70" CRLF
			    "From:    Bell, Alexander <sip:a.g.bell@example.com>;tag=43" CRLF
			    "To:      Watson, Thomas <sip:t.watson@example.org>" CRLF
			    "Call-ID: baddn.31415@c.example.com" CRLF "Accept: application/sdp" CRLF
			    "CSeq:    3923239 OPTIONS" CRLF
			    "l: 0" CRLF CRLF) MSG("3.1.2.16 badvers", 505, 0,
						  "OPTIONS sip:t.watson@example.org SIP/7.0" CRLF
						  "Via:     SIP/7.0/UDP c.example.com;branch=z9hG4bKkdjuw" CRLF
						  "Max-Forwards:     70" CRLF
						  "From:    A. Bell <sip:a.g.bell@example.com>;tag=qweoiqpe" CRLF
						  "To:      T. Watson <sip:t.watson@example.org>" CRLF
						  "Call-ID: badvers.31417@c.example.com" CRLF "CSeq:    1 OPTIONS" CRLF
						  "l: 0" CRLF CRLF)
				MSG("3.1.2.17 mismatch01", 400, 0,
				    "OPTIONS sip:user@example.com SIP/2.0" CRLF "To: sip:j.user@example.com" CRLF
				    "From: sip:caller@example.net;tag=34525" CRLF "Max-Forwards: 6" CRLF
				    "Call-ID: mismatch01.dj0234sxdfl3" CRLF "CSeq: 8 INVITE" CRLF
				    "Via: SIP/2.0/UDP host.example.com;branch=z9hG4bKkdjuw" CRLF
				    "l: 0" CRLF CRLF) MSG("3.1.2.18 mismatch02", 400, 0,
							  "NEWMETHOD sip:user@example.com SIP/2.0" CRLF
							  "To: sip:j.user@example.com" CRLF
							  "From: sip:caller@example.net;tag=34525" CRLF
							  "Max-Forwards: 6" CRLF "Call-ID: mismatch02.dj0234sxdfl3" CRLF
							  "CSeq: 8 INVITE" CRLF
							  "Contact: <sip:caller@host.example.net>" CRLF
							  "Via: SIP/2.0/UDP host.example.net;branch=z9hG4bKkdjuw" CRLF
							  "Content-Type: application/sdp" CRLF "l: 150" CRLF CRLF SDP)
					MSG("3.1.2.19 bigcode", 400, 0,
					    "SIP/2.0 4294967301 better not break the receiver" CRLF
					    "Via: SIP/2.0/UDP 192.0.2.105;branch=z9hG4bK2398ndaoe" CRLF
					    "Call-ID: bigcode.asdof3uj203asdnf3429uasdhfas3ehjasdfas9i" CRLF
					    "CSeq: 353494 INVITE" CRLF "From: <sip:user@example.com>;tag=39ansfi3" CRLF
					    "To: <sip:user@example.edu>;tag=902jndnke3" CRLF "Content-Length: 0" CRLF
					    "Contact: <sip:user@host105.example.com>" CRLF CRLF)
	/* --- 3.2 transaction layer */
	MSG("3.2.1 badbranch", 0, 400,
	    "OPTIONS sip:user@example.com SIP/2.0" CRLF "To: sip:user@example.com" CRLF
	    "From: sip:caller@example.org;tag=33242" CRLF "Max-Forwards: 3" CRLF
	    "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK" CRLF "Accept: application/sdp" CRLF
	    "Call-ID: badbranch.sadonfo23i420jv0as0derf3j3n" CRLF "CSeq: 8 OPTIONS" CRLF "l: 0" CRLF CRLF)
	/* --- 3.3 application layer */
	MSG("3.3.1 insuf", 400, 0,
	    "INVITE sip:user@example.com SIP/2.0" CRLF "CSeq: 193942 INVITE" CRLF
	    "Via: SIP/2.0/UDP 192.0.2.95;branch=z9hG4bKkdj.insuf" CRLF "Content-Type: application/sdp" CRLF
	    "l: 150" CRLF CRLF
		    SDP) MSG("3.3.2 unkscm", 0, 416,
			     "OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0" CRLF
			     "To: sip:user@example.com" CRLF "From: sip:caller@example.net;tag=384" CRLF
			     "Max-Forwards: 3" CRLF "Call-ID: unkscm.nasdfasser0q239nwsdfasdkl34" CRLF
			     "CSeq: 3923423 OPTIONS" CRLF
			     "Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234" CRLF "Content-Length: 0" CRLF
				     CRLF) MSG("3.3.3 novelsc", 0, 416,
					       "OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0" CRLF
					       "To: sip:user@example.com" CRLF
					       "From: sip:caller@example.net;tag=384" CRLF "Max-Forwards: 3" CRLF
					       "Call-ID: novelsc.asdfasser0q239nwsdfasdkl34" CRLF
					       "CSeq: 3923423 OPTIONS" CRLF
					       "Via: SIP/2.0/TCP host9.example.com;branch=z9hG4bKkdjuw39234" CRLF
					       "Content-Length: 0" CRLF CRLF)
		MSG("3.3.4 unksm2", 0, 0,
		    "REGISTER sip:example.com SIP/2.0" CRLF "To: isbn:2983792873" CRLF
		    "From: <http://www.example.com>;tag=3234233" CRLF
		    "Call-ID: unksm2.daksdj@hyphenated-host.example.com" CRLF "CSeq: 234902 REGISTER" CRLF
		    "Max-Forwards: 70" CRLF "Via: SIP/2.0/UDP 192.0.2.21:5060;branch=z9hG4bKkdjuw" CRLF
		    "Contact: <name:John_Smith>" CRLF
		    "l: 0" CRLF CRLF) MSG("3.3.5 bext01", 0, 420,
					  "OPTIONS sip:user@example.com SIP/2.0" CRLF "To: sip:j_user@example.com" CRLF
					  "From: sip:caller@example.net;tag=242etr" CRLF "Max-Forwards: 6" CRLF
					  "Call-ID: bext01.0ha0isndaksdj" CRLF
					  "Require: nothingSupportsThis, nothingSupportsThisEither" CRLF
					  "Proxy-Require: noProxiesSupportThis, norDoAnyProxiesSupportThis" CRLF
					  "CSeq: 8 OPTIONS" CRLF
					  "Via: SIP/2.0/TLS fold-and-staple.example.com;branch=z9hG4bKkdjuw" CRLF
					  "Content-Length: 0" CRLF CRLF)
			MSG("3.3.6 invut", 0, 0,
			    "INVITE sip:user@example.com SIP/2.0" CRLF "Contact: <sip:caller@host5.example.net>" CRLF
			    "To: sip:j.user@example.com" CRLF "From: sip:caller@example.net;tag=8392034" CRLF
			    "Max-Forwards: 70" CRLF "Call-ID: invut.0ha0isndaksdjadsfij34n23d" CRLF
			    "CSeq: 235448 INVITE" CRLF "Via: SIP/2.0/UDP somehost.example.com;branch=z9hG4bKkdjuw" CRLF
			    "Content-Type: application/unknownformat" CRLF "Content-Length: 40" CRLF CRLF "<audio>" CRLF
			    " <pcmu port=\"443\"/>" CRLF
			    "</audio>" CRLF) MSG("3.3.7 regaut01", 0, 0,
						 "REGISTER sip:example.com SIP/2.0" CRLF
						 "To: sip:j.user@example.com" CRLF
						 "From: sip:j.user@example.com;tag=87321hj23128" CRLF
						 "Max-Forwards: 8" CRLF "Call-ID: regaut01.0ha0isndaksdj" CRLF
						 "CSeq: 9338 REGISTER" CRLF
						 "Via: SIP/2.0/TCP 192.0.2.253;branch=z9hG4bKkdjuw" CRLF
						 "Authorization: NoOneKnowsThisScheme opaque-data=here" CRLF
						 "Content-Length:0" CRLF CRLF)
				MSG("3.3.8 multi01", 400, 0,
				    "INVITE sip:user@company.com SIP/2.0" CRLF
				    "Contact: <sip:caller@host25.example.net>" CRLF
				    "Via: SIP/2.0/UDP 192.0.2.25;branch=z9hG4bKkdjuw" CRLF "Max-Forwards: 70" CRLF
				    "CSeq: 5 INVITE" CRLF "Call-ID: multi01.98asdh@192.0.2.1" CRLF
				    "CSeq: 59 INVITE" CRLF "Call-ID: multi01.98asdh@192.0.2.2" CRLF
				    "From: sip:caller@example.com;tag=3413415" CRLF "To: sip:user@example.com" CRLF
				    "To: sip:other@example.net" CRLF "From: sip:caller@example.net;tag=2923420123" CRLF
				    "Content-Type: application/sdp" CRLF "l: 150" CRLF
				    "Contact: <sip:caller@host36.example.net>" CRLF "Max-Forwards: 5" CRLF CRLF
					    SDP) MSG("3.3.9 mcl01", 400, 0,
						     "OPTIONS sip:user@example.com SIP/2.0" CRLF
						     "Via: SIP/2.0/UDP host5.example.net;branch=z9hG4bK293423" CRLF
						     "To: sip:user@example.com" CRLF
						     "From: sip:other@example.net;tag=3923942" CRLF
						     "Call-ID: mcl01.fhn2323orihawfdoa3o4r52o3irsdf" CRLF
						     "CSeq: 15932 OPTIONS" CRLF "Content-Length: 13" CRLF
						     "Max-Forwards: 60" CRLF "Content-Length: 5" CRLF
						     "Content-Type: text/plain" CRLF CRLF
						     "There's no way to know how many octets are supposed to be "
						     "here." CRLF)
					MSG("3.3.10 bcast", 0, 0,
					    "SIP/2.0 200 OK" CRLF
					    "Via: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bK1324923" CRLF
					    "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1saber23" CRLF
					    "Call-ID: bcast.0384840201234ksdfak3j2erwedfsASdf" CRLF
					    "CSeq: 35 INVITE" CRLF "From: sip:user@example.com;tag=11141343" CRLF
					    "To: sip:user@example.edu;tag=2229" CRLF "Content-Length: 150" CRLF
					    "Content-Type: application/sdp" CRLF
					    "Contact: <sip:user@host28.example.com>" CRLF CRLF
						    SDP) MSG("3.3.11 zeromf", 0, 0,
							     "OPTIONS sip:user@example.com SIP/2.0" CRLF
							     "To: sip:user@example.com" CRLF
							     "From: sip:caller@example.net;tag=3ghsd41" CRLF
							     "Call-ID: zeromf.jfasdlfnm2o2l43r5u0asdfas" CRLF
							     "CSeq: 39234321 OPTIONS" CRLF
							     "Via: SIP/2.0/UDP "
							     "host1.example.com;branch=z9hG4bKkdjuw2349i" CRLF
							     "Max-Forwards: 0" CRLF "Content-Length: 0" CRLF CRLF)
						MSG("3.3.12 cparam01", 0, 0,
						    "REGISTER sip:example.com SIP/2.0" CRLF
						    "Via: SIP/2.0/UDP saturn.example.com:5060;branch=z9hG4bKkdjuw" CRLF
						    "Max-Forwards: 70" CRLF
						    "From: sip:watson@example.com;tag=DkfVgjkrtMwaerKKpe" CRLF
						    "To: sip:watson@example.com" CRLF
						    "Call-ID: cparam01.70710@saturn.example.com" CRLF
						    "CSeq: 2 REGISTER" CRLF
						    "Contact: sip:+19725552222@gw1.example.net;unknownparam" CRLF
						    "l: 0" CRLF CRLF)
							MSG("3.3.13 cparam02", 0, 0,
							    "REGISTER sip:example.com SIP/2.0" CRLF
							    "Via: SIP/2.0/UDP "
							    "saturn.example.com:5060;branch=z9hG4bKkdjuw" CRLF
							    "Max-Forwards: 70" CRLF
							    "From: sip:watson@example.com;tag=838293" CRLF
							    "To: sip:watson@example.com" CRLF
							    "Call-ID: cparam02.70710@saturn.example.com" CRLF
							    "CSeq: 3 REGISTER" CRLF
							    "Contact: "
							    "<sip:+19725552222@gw1.example.net;unknownparam>" CRLF
							    "l: 0" CRLF CRLF)
								MSG("3.3.14 regescrt", 0, 0,
								    "REGISTER sip:example.com SIP/2.0" CRLF
								    "To: sip:user@example.com" CRLF
								    "From: sip:user@example.com;tag=8" CRLF
								    "Max-Forwards: 70" CRLF
								    "Call-ID: regescrt.k345asrl3fdbv@192.0.2.1" CRLF
								    "CSeq: 14398234 REGISTER" CRLF
								    "Via: SIP/2.0/UDP "
								    "host5.example.com;branch=z9hG4bKkdjuw" CRLF
								    "M: "
								    "<sip:user@example.com?Route=%3Csip:sip.example."
								    "com%3E>" CRLF "L:0" CRLF CRLF)
									MSG("3.3.15 sdp01", 0, 0,
									    "INVITE sip:user@example.com SIP/2.0" CRLF
									    "To: sip:j_user@example.com" CRLF
									    "Contact: "
									    "<sip:caller@host15.example.net>" CRLF
									    "From: sip:caller@example.net;tag=234" CRLF
									    "Max-Forwards: 5" CRLF
									    "Call-ID: sdp01.ndaksdj9342dasdd" CRLF
									    "Accept: text/nobodyKnowsThis" CRLF
									    "CSeq: 8 INVITE" CRLF
									    "Via: SIP/2.0/UDP "
									    "192.0.2.15;branch=z9hG4bKkdjuw" CRLF
									    "Content-Length: 150" CRLF
									    "Content-Type: application/sdp" CRLF CRLF
										    SDP)
	/* --- 3.4.1 RFC 2543: no branch, no tag, no Contact */
	MSG("3.4.1 inv2543", 0, 400,
	    "INVITE sip:UserB@example.com SIP/2.0" CRLF "Via: SIP/2.0/UDP iftgw.example.com" CRLF
	    "From: <sip:+13035551111@ift.client.example.net;user=phone>" CRLF
	    "Record-Route: <sip:UserB@example.com;maddr=ss1.example.com>" CRLF
	    "To: sip:+16505552222@ss1.example.net;user=phone" CRLF "Call-ID: inv2543.1717@ift.client.example.com" CRLF
	    "CSeq: 56 INVITE" CRLF "Content-Type: application/sdp" CRLF CRLF SDP)
};

static void each_as_a_whole(void **state)
{
	struct sip_msg m;
	bool bad = false;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct sip_refusal why = { 0, "" };
		char mem[256];
		struct buf headers = buf_fixed(mem, sizeof(mem));
		unsigned parse = sip_msg_parse(str_of(cases[i].text, cases[i].len), &m, &why) == ERR_OK ? 0
													: why.status,
			 check = 0;

		if (parse == 0 && m.request)
			check = sip_check_request(&m, &why, &headers) == ERR_OK ? 0 : why.status;
		else if (parse == 0)
			check = sip_check_response(&m) == ERR_OK ? 0 : 400;
		if (parse == cases[i].parse && check == cases[i].check)
			continue;
		print_error("%s: parse %u, check %u (%s), not %u, %u\n", cases[i].name, parse, check, why.phrase,
			    cases[i].parse, cases[i].check);
		bad = true;
	}
	assert_false(bad);
}

/* Nothing is read behind the end, and no prefix that lacks a byte of headers or body is taken for whole. */
static void every_prefix(void **state)
{
	struct guard g = guard_new(8192);
	struct sip_msg m;
	struct sip_refusal why;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		for (size_t n = 0; n < cases[i].len; n++) {
			char mem[256];
			struct buf headers = buf_fixed(mem, sizeof(mem));
			enum err e = sip_msg_parse(str_of(guard_put(&g, cases[i].text, n), n), &m, &why);

			if (e == ERR_OK && m.request)
				e = sip_check_request(&m, &why, &headers);
			if (e == ERR_OK && m.first[SIP_H_CONTENT_LENGTH] != 0 && n < cases[i].len &&
			    strcmp(cases[i].name, "3.1.1.8 dblreq") != 0)
				fail_msg("%s: taken for whole at %zu of %zu", cases[i].name, n, cases[i].len);
		}
	}
	guard_free(&g);
}

/* wsinv, value by value: folds, blanks, odd case, compact forms. */
static void the_tortuous_invite(void **state)
{
	struct sip_msg m;
	struct sip_refusal why;
	struct sip_addr a;
	struct sip_via v;
	struct str value;
	uint32_t n;

	(void)state;
	assert_ok(sip_msg_parse(str_of(cases[0].text, cases[0].len), &m, &why));
	assert_ok(sip_msg_addr(&m, SIP_H_TO, &a));
	assert_str(a.uri, "sip:vivekg@chair-dnrc.example.com");
	assert_str(a.tag, "1918181833n");
	assert_ok(sip_msg_addr(&m, SIP_H_FROM, &a));
	assert_str(a.display, "J Rosenberg \\\\\\\"");
	assert_str(a.tag, "98asjd8");
	assert_int_equal(m.cseq, 9);
	assert_ok(sip_msg_number(&m, SIP_H_MAX_FORWARDS, 255, &n));
	assert_int_equal(n, 68);
	assert_int_equal(sip_msg_value(&m, SIP_H_SUBJECT).len, 0);
	assert_non_null(sip_msg_value(&m, SIP_H_SUBJECT).p);
	struct sip_list it = sip_list(&m, SIP_H_VIA);
	const char *want[][3] = { { "UDP", "192.0.2.2", "390skdjuw" },
				  { "TCP", "spindle.example.com", "z9hG4bK9ikj8" },
				  { "UDP", "192.168.255.111", "z9hG4bK30239" } };

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(sip_list_next(&it, &value));
		assert_ok(sip_via_parse(value, &v));
		assert_str(v.transport, want[i][0]);
		assert_str(v.host, want[i][1]);
		assert_str(v.branch, want[i][2]);
	}
	assert_false(sip_list_next(&it, &value));
	assert_ok(sip_msg_addr(&m, SIP_H_CONTACT, &a));
	assert_str(a.uri, "sip:jdrosen@example.com");
	assert_true(sip_param(a.params, STR("newparam"), &value));
	assert_str(value, "newvalue");
	assert_true(sip_param(a.params, STR("secondparam"), &value));
	assert_int_equal(value.len, 0);
	assert_true(sip_param(a.params, STR("Q"), &value));
	assert_str(value, "0.33");
	assert_true(sip_body_has_video(&m));
	assert_int_equal(m.body.len, 150);
}

/* §3.1.1.7 longreq: values of extreme proportion, written by rule. */
static void long_values(void **state)
{
	struct buf b = buf_growing(SIP_MSG_MAX);
	struct sip_msg m;
	struct sip_refusal why;
	struct sip_addr a;
	char mem[256];
	struct buf headers = buf_fixed(mem, sizeof(mem));

	(void)state;
	buf_z(&b, "INVITE sip:user@example.com SIP/2.0\r\nTo: \"I have a user name of ");
	for (int i = 0; i < 200; i++)
		buf_z(&b, "extreme ");
	buf_z(&b, "proportion\"<sip:user@example.com:6000;unknownparam1=very");
	for (int i = 0; i < 50; i++)
		buf_z(&b, "long");
	buf_z(&b, "value>\r\nF: sip:amazinglylongcallername@example.net;tag=12");
	for (int i = 0; i < 100; i++)
		buf_z(&b, "982");
	buf_z(&b, "424;unknownheaderparamname=unknowheaderparamvalue\r\nCall-ID: longreq.one");
	for (int i = 0; i < 50; i++)
		buf_z(&b, "really");
	buf_z(&b, "longcallid\r\nCSeq: 3882340 INVITE\r\nMax-Forwards: 70\r\nVia: SIP/2.0/TCP "
		  "sip33.example.com;branch=z9hG4bK1\r\n");
	for (int i = 0; i < 33; i++)
		buf_printf(&b, "v: SIP/2.0/TCP sip%d.example.com;branch=z9hG4bK%d\r\n", i, i);
	buf_z(&b, "Contact: <sip:amazinglylongcallername@host5.example.net>\r\nContent-Type: application/sdp\r\nl: "
		  "150\r\n\r\n" SDP);
	assert_false(b.overflow);
	assert_ok(sip_msg_parse(buf_view(&b), &m, &why));
	assert_ok(sip_check_request(&m, &why, &headers));
	assert_ok(sip_msg_addr(&m, SIP_H_TO, &a));
	assert_int_equal(a.display.len, 22 + 200 * 8 + 10);
	assert_ok(sip_msg_addr(&m, SIP_H_FROM, &a));
	assert_int_equal(a.tag.len, 2 + 300 + 3);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_as_a_whole),
		cmocka_unit_test(every_prefix),
		cmocka_unit_test(the_tortuous_invite),
		cmocka_unit_test(long_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
