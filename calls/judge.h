/* calls/judge.h
 * Which call is it? The one place that decides, and its table. Pure: no Wireshark, no memory, no
 * clock.
 *
 * A packet brings clues (its Call-ID, a tie-breaker, a key ...). For each call that may be
 * meant, calls/resolve.c fills in a trial: which clues are the call's own, which contradict it,
 * and how the call stands. The judge says whether the packet is of that call, of another one, or
 * that nothing tells, and how strong the reason is.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef FT_JUDGE_H
#define FT_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

/* How much a clue weighs. A stronger one is never outweighed by any number of weaker ones. */
typedef enum { FT_NOTHING, FT_WEAK, FT_LEG, FT_STRONG, FT_DECIDES } ft_strength;

#define FT_FOREVER UINT32_MAX

/* One row a clue, in order of rank among equals:
 * X(enumerator, strength, whether another value is another call, seconds that a value holds,
 * what it is) */
#define FT_CLUES(X) \
    X(FT_CLUE_REQUEST, FT_DECIDES, false, FT_FOREVER, "the request that this answers or repeats") \
    X(FT_CLUE_CALL_ID, FT_DECIDES, true, FT_FOREVER, "Call-ID of the SIP dialog") \
    X(FT_CLUE_TIE_BREAKER, FT_DECIDES, true, FT_FOREVER, "tie-breaker of an ICE agent") \
    X(FT_CLUE_LINK_MESSAGE, FT_DECIDES, false, FT_FOREVER, "HMAC of a link message") \
    X(FT_CLUE_KEY, FT_DECIDES, true, FT_FOREVER, "key id of a media sender") \
    X(FT_CLUE_RESERVATION, FT_STRONG, true, FT_FOREVER, "reservation token of an allocation") \
    X(FT_CLUE_RELAYED, FT_STRONG, false, 600, "relayed address of an allocation without a token") \
    X(FT_CLUE_CANDIDATE_CALL, FT_STRONG, false, FT_FOREVER, "call id in a candidate list") \
    X(FT_CLUE_CANDIDATE, FT_STRONG, false, FT_FOREVER, "candidate id in a USERNAME") \
    X(FT_CLUE_LINK_ID, FT_STRONG, false, FT_FOREVER, "link id in a check") \
    X(FT_CLUE_PARTICIPANT, FT_STRONG, false, FT_FOREVER, "participant in a relay header") \
    X(FT_CLUE_SSRC, FT_STRONG, false, 30, "SSRC whose numbers go on") \
    X(FT_CLUE_OFFER, FT_WEAK, false, 120, "address that the call's signalling offered") \
    X(FT_CLUE_DEVICE, FT_WEAK, false, 120, "address and port of a device") \
    X(FT_CLUE_PEER, FT_WEAK, false, 120, "public address and port of a far end") \
    X(FT_CLUE_HOST, FT_WEAK, false, 120, "address of a device, whatever the port") \
    X(FT_CLUE_HOME, FT_NOTHING, false, 120, "private address that the call's signalling offered")

#define FT_CLUE_ENUM(id, strength, excludes, life, what) id,
typedef enum { FT_CLUES(FT_CLUE_ENUM) FT_CLUE_COUNT } ft_clue;

typedef struct {
    ft_strength strength;
    bool        excludes;
    uint32_t    life;
    const char *what;
} ft_clue_row;

extern const ft_clue_row ft_clue_rows[FT_CLUE_COUNT];

#define FT_CLUE_BIT(clue) (UINT32_C(1) << (clue))

/* A call without a packet for so long is over for whatever starts afresh. */
#define FT_QUIET_END_S 120
/* What can begin a call joins one by addresses alone only where the other side was heard so
 * lately. */
#define FT_ALIVE_S 10

/* A new way to a relay whose call's media stopped so long ago is the next call's, until something
 * tells that it is the same one's, and so is its own way that is set up anew, once a new sender
 * speaks there; FT_ALIVE_S where the capture got its packets in batches, a
 * second or two at once: what lies between two of those is no pause. */
#define FT_PAUSE_S 1

/* As short as the capture's clock can tell one. */
static inline double
ft_shortest_pause(bool batched)
{
    return batched ? FT_ALIVE_S : FT_PAUSE_S;
}

/* What comes so lately after a call's end, without a clue, is its tail. */
#define FT_TAIL_S 5

/* How one call stands towards the packet in hand. */
typedef struct {
    uint32_t equal;     /* FT_CLUE_BIT() of each clue that is the call's own */
    /* of each whose value in this call is another, where there can be one only */
    uint32_t different;
    bool on_leg;        /* the packet's way was this call's until now */
    bool starts;        /* the packet is of the kind that a call begins with */
    /* it is a check of a modern call, on a way that has carried nothing else, and another call of
     * the same ends goes on */
    bool may_be_others;
    /* it shows where its call's far end is, and goes to another than this call has, or in another
     * channel */
    bool elsewhere;
    bool shut;          /* the call's tail is short: its socket is closed, or this is an answer */
    bool other_generation; /* its bytes are of one generation, the call's of the other */
    bool names_another; /* its SIP names a far end, and this call was met at others alone */
    bool renews;        /* it sets its way up anew: a new connection to the relay */
    /* media of an SSRC, or a modern check of a link, that nobody has; without a key */
    bool fresh;
    bool new_sender;    /* such media, the first on a way that was set up anew */
    /* the call's way to the relay is another's by now, or waits for its first sender, and its
     * media is silent */
    bool left;
    /* a key id that nobody has, the device having closed the call's socket, and after a pause */
    bool next_key;
    bool talked;        /* the call has had media */
    bool batched;       /* short pauses can't be told: the capture's clock is a batched one */
    bool over;          /* the call was closed, or fell silent for FT_QUIET_END_S */
    bool again;         /* a new tie-breaker, long after the last word; nobody answered */
    bool missed_bye;    /* a check to who hung up, whose BYE has no answer */
    bool only;          /* no other running call has the addresses that are equal */
    double age;         /* seconds since the call's last packet, never negative */
    double far_age;     /* seconds since the other side was last heard; no less than age */
    double media_age;   /* seconds since the call's last media */
} ft_trial;

typedef enum { FT_UNKNOWN, FT_SAME, FT_OTHER } ft_verdict;

typedef struct {
    ft_verdict  verdict;
    ft_strength strength;
} ft_judgement;

ft_judgement ft_judge(const ft_trial *trial);

/* The same where clues alone tell: of the trial no more than equal, different and age is read.
 * False where they don't. */
bool ft_judge_clues(const ft_trial *trial, ft_judgement *told);

/* A phone has a path or two at once, and so has its peer: one SSRC at a dozen pairs of addresses
 * at once is a traffic generator's, and nobody's. Both numbers are chosen, above what a call does
 * (relay, direct path, and each anew where an address changes) and far below the generator's. */
#define FT_MOST_MOVES       3
#define FT_MOVES_ARE_NEAR_S 30

/* An SSRC on a way that its call hasn't, where one of the ends is a stranger to the call. */
typedef struct {
    bool     beside;    /* the way's own call has this SSRC, too */
    bool     heard;     /* the call has media of it, and not only its name */
    unsigned packets;   /* of that, copies included, on so many ways */
    unsigned ways;
    bool     repeats;   /* it is the one way's packet once more, told by its bytes */
    unsigned moves;     /* strange ways that it was tied to before, each soon after the last */
    double   moved_age; /* seconds since the latest of these */
} ft_move;

/* Whether the SSRC ties such a way to its call; else it is no clue there at all. */
bool ft_judge_move(const ft_move *move);

#endif
