/* calls/judge.c
 *
 *    equal clue that decides, of higher rank than any that contradicts?   SAME
 *    a clue that decides contradicts?                                     OTHER
 *    equal clue that is strong?                                           SAME
 *    a strong clue contradicts (a new reservation)?                       OTHER
 *    its bytes are of the other generation than the call's?               UNKNOWN
 *    a new key, the socket having been closed, after a pause?             UNKNOWN
 *    its way is set up anew, and the other side is silent?                UNKNOWN
 *    ... was set up anew, and a new sender speaks after a pause?          UNKNOWN
 *    a new sender, or a new link, and the call was left behind?           UNKNOWN
 *    a modern check, its way had checks alone, several calls go on here?  UNKNOWN
 *    a new tie-breaker, nobody answered, and silence for 10 s?            UNKNOWN
 *    its way was this call's, and the call goes on?                       SAME
 *    ... is over, and the packet begins nothing?                          SAME (the call's tail)
 *    ... or is a check to who hung up, whose BYE has no answer, 5 s on?   SAME
 *    goes elsewhere, or to a new relay after the media stopped?           UNKNOWN
 *    its SIP names another far end, or the call was left, as above?       UNKNOWN
 *    addresses alone, one running call only, the other side alive?        SAME
 *    ... is over, and the packet is of its tail, as above?                SAME
 *    else                                                                 UNKNOWN
 *
 * and of an SSRC on a strange way, before all that:
 *
 *    the way's own call has it, too?                                      no clue
 *    it sent a packet a way so far, no repeat of one?                     no clue
 *    it came at three such ways already, each within 30 s?                no clue
 *    else                                                                 a clue
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "calls/judge.h"

#define CLUE_ROW(id, strength, excludes, life, what) { strength, excludes, life, what },
const ft_clue_row ft_clue_rows[FT_CLUE_COUNT] = { FT_CLUES(CLUE_ROW) };

/* The bits of all clues of one strength: a number, where that is one. */
static inline uint32_t
all_of(ft_strength wanted)
{
#define BIT_OF(id, strength, excludes, life, what) | (strength == wanted ? FT_CLUE_BIT(id) : 0)
    return 0 FT_CLUES(BIT_OF);
}

/* The bits of the clues of this strength whose value holds for so long. */
static inline uint32_t
clues_of(ft_strength strength, uint32_t bits, double age)
{
    uint32_t found = 0;

    bits &= all_of(strength);
    for (unsigned i = 0; bits >> i; i++) {
        const ft_clue_row *row = &ft_clue_rows[i];
        if ((bits & FT_CLUE_BIT(i)) && (row->life == FT_FOREVER || age <= row->life))
            found |= FT_CLUE_BIT(i);
    }
    return found;
}

/* Those of them that contradict, if their row lets them. */
static inline uint32_t
contradictions(ft_strength strength, uint32_t bits)
{
    uint32_t found = 0;

    bits &= all_of(strength);
    for (unsigned i = 0; bits >> i; i++) {
        if ((bits & FT_CLUE_BIT(i)) && ft_clue_rows[i].excludes)
            found |= FT_CLUE_BIT(i);
    }
    return found;
}

/* The lowest bit is the clue of the highest rank. */
static bool
outranks(uint32_t one, uint32_t other)
{
    const uint32_t lowest_of_one = one & (0 - one), lowest_of_other = other & (0 - other);

    return one && (!other || lowest_of_one < lowest_of_other);
}

static bool
is_tail(const ft_trial *trial)
{
    return !trial->starts || (trial->missed_bye && trial->age <= FT_TAIL_S);
}

static ft_judgement
by_leg(const ft_trial *trial)
{
    if (trial->renews && trial->far_age > FT_ALIVE_S)
        return (ft_judgement){ FT_UNKNOWN, FT_NOTHING };
    if (trial->new_sender && trial->talked && trial->media_age > ft_shortest_pause(trial->batched))
        return (ft_judgement){ FT_UNKNOWN, FT_NOTHING };
    if (trial->again || trial->may_be_others || (trial->fresh && trial->left))
        return (ft_judgement){ FT_UNKNOWN, FT_NOTHING };
    if (!trial->over ||
        (is_tail(trial) && trial->age <= (trial->shut ? FT_TAIL_S : FT_QUIET_END_S)))
        return (ft_judgement){ FT_SAME, FT_LEG };
    return (ft_judgement){ FT_UNKNOWN, FT_NOTHING };
}

static ft_judgement
by_address(const ft_trial *trial)
{
    const uint32_t equal = clues_of(FT_WEAK, trial->equal, trial->age);
    const double alive = trial->starts ? FT_ALIVE_S : FT_QUIET_END_S;

    if (trial->names_another || trial->elsewhere ||
        (trial->fresh && trial->left))
        return (ft_judgement){ FT_UNKNOWN, FT_NOTHING };
    if (trial->renews && trial->talked && trial->far_age > ft_shortest_pause(trial->batched))
        return (ft_judgement){ FT_UNKNOWN, FT_NOTHING };
    if (equal && trial->only &&
        (trial->over ? is_tail(trial) && trial->age <= FT_TAIL_S : trial->far_age <= alive))
        return (ft_judgement){ FT_SAME, FT_WEAK };
    return (ft_judgement){ FT_UNKNOWN, FT_NOTHING };
}

/* Whether clues of this strength tell, for or against. */
static inline bool
tells(ft_strength strength, const ft_trial *trial, ft_judgement *told)
{
    const uint32_t equal = clues_of(strength, trial->equal, trial->age);
    const uint32_t against = contradictions(strength, trial->different);

    *told = (ft_judgement){ outranks(equal, against) ? FT_SAME : FT_OTHER, strength };
    return told->verdict == FT_SAME || against;
}

bool
ft_judge_clues(const ft_trial *trial, ft_judgement *told)
{
    return tells(FT_DECIDES, trial, told) || tells(FT_STRONG, trial, told);
}

ft_judgement
ft_judge(const ft_trial *trial)
{
    ft_judgement told;

    if (ft_judge_clues(trial, &told))
        return told;
    if (trial->other_generation || trial->next_key)
        return (ft_judgement){ FT_UNKNOWN, FT_NOTHING };
    return trial->on_leg ? by_leg(trial) : by_address(trial);
}

/* One that sent no more than a packet a way so far goes nowhere from there. The same packet at
 * one more place is a copy. */
static bool
is_settled(const ft_move *move)
{
    return move->packets >= 2 * move->ways || (move->ways == 1 && move->repeats);
}

bool
ft_judge_move(const ft_move *move)
{
    if (move->beside || (move->heard && !is_settled(move)))
        return false;
    return move->moves < FT_MOST_MOVES || move->moved_age > FT_MOVES_ARE_NEAR_S;
}
