/*
 * Rings and sleep flag, as in Sources/WaitFree/SPSCRing.swift and SleepFlag.swift, on a machine with store buffers.
 *
 * PRODUCERS threads push for as long as they like, each to a ring of its own that holds CAPACITY, and each may stop for ever
 * at any time between two calls. One thread consumes all rings, and sleeps when they are empty: without a time limit, or
 * with one, as it likes. Stores go through a first-in-first-out buffer of each thread and reach memory at any later time
 * (total store order, as on x86-64). Loads read memory: no thread here loads a word that it has itself stored and not yet
 * fenced, so a buffer never has to answer.
 *
 * Indices count modulo 2 * CAPACITY, which keeps full and empty apart and the model finite: it has runs without an end.
 *
 * Checked: each ring hands over every element once, in order (assertions); nobody is left asleep with an element in a ring,
 * and no producer waits for ever at a full ring (Monitor: when nothing can happen any more, all rings are empty); with
 * LIVENESS also that an element in ring 0 is in the end taken, whatever the other threads do, under weak fairness.
 *
 * (A selection that begins an option of another one is merged into it by spin, `else` and all, hence each `true ->`.)
 *
 * Each BUG_... switch takes out or swaps one step. The checker has to find every one of them; see scripts/verify-models.
 */

#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef PRODUCERS
#define PRODUCERS 1
#endif
#ifndef STORE_BUFFER
#define STORE_BUFFER 2
#endif

#define MODULUS (2 * CAPACITY)
#define CONSUMER PRODUCERS              /* number of the consumer's store buffer */
#define THREADS (PRODUCERS + 1)

/* Words and cells, by address. */
#define TAIL(p) (p)
#define HEAD(p) (PRODUCERS + (p))
#define FLAG (2 * PRODUCERS)
#define SLOT(p, i) (2 * PRODUCERS + 1 + (p) * CAPACITY + ((i) % CAPACITY))
#define WORDS (2 * PRODUCERS + 1 + PRODUCERS * CAPACITY)

#define AWAKE 0
#define ASLEEP 1

byte memory[WORDS];
chan buffer[THREADS] = [STORE_BUFFER] of { byte, byte };   /* address, value */
bit event;                              /* the eventfd: a count of 0, or more */
bit taken;                              /* set for one step when the consumer takes from ring 0 */

#define used(tail, head) (((tail) + MODULUS - (head)) % MODULUS)

inline store(thread, address, value) { buffer[thread] ! address, value }
inline fence(thread) { empty(buffer[thread]) }

proctype Flusher(byte thread) {
    byte address, value;
end:
    do
    :: d_step { buffer[thread] ? address, value -> memory[address] = value; address = 0; value = 0 }
    od
}

proctype Producer(byte me) {
    byte tail, headCopy, seen;
end:
    do
    :: break                            /* no more pushes, for ever */
    :: true ->
        /* push; a caller that finds the ring full comes back when it is not */
#ifdef BUG_FULL
        if
        :: used(tail, headCopy) > CAPACITY -> d_step { used(tail, memory[HEAD(me)]) <= CAPACITY; headCopy = memory[HEAD(me)] }
        :: else
        fi;
#else
        if
        :: used(tail, headCopy) >= CAPACITY -> d_step { used(tail, memory[HEAD(me)]) < CAPACITY; headCopy = memory[HEAD(me)] }
        :: else
        fi;
#endif
#ifdef BUG_PUBLISH_FIRST
        store(me, TAIL(me), (tail + 1) % MODULUS);
        store(me, SLOT(me, tail), tail);
#else
        store(me, SLOT(me, tail), tail);
        store(me, TAIL(me), (tail + 1) % MODULUS);
#endif
        tail = (tail + 1) % MODULUS;
        /* claimWake */
#ifndef BUG_NO_FENCE_IN_CLAIM
        fence(me);
#endif
#ifndef BUG_NO_RING
        if
        :: d_step { memory[FLAG] == AWAKE -> skip }
        :: else ->
            atomic { empty(buffer[me]) -> seen = memory[FLAG]; memory[FLAG] = AWAKE };
            if
            :: seen == ASLEEP -> d_step { event = 1; seen = 0 }     /* write to the eventfd */
            :: else
            fi
        fi
#endif
    od
}

proctype Consumer() {
    byte head[PRODUCERS], tailCopy[PRODUCERS], ring;
    bit found, hasLimit;
end:
    do
    :: true ->
        /* drain all rings, of each what it held when it was looked at */
        ring = 0;
        do
        :: ring < PRODUCERS ->
#ifndef BUG_ENDLESS_DRAIN
            tailCopy[ring] = memory[TAIL(ring)];
#endif
            do
            :: true ->
#ifdef BUG_ENDLESS_DRAIN
                if
                :: head[ring] == tailCopy[ring] -> tailCopy[ring] = memory[TAIL(ring)]
                :: else
                fi;
#endif
                if
                :: head[ring] == tailCopy[ring] -> break
                :: else
                fi;
                assert(memory[SLOT(ring, head[ring])] == head[ring]);
                store(CONSUMER, HEAD(ring), (head[ring] + 1) % MODULUS);
                head[ring] = (head[ring] + 1) % MODULUS;
#ifdef LIVENESS
                if
                :: ring == 0 -> taken = 1; taken = 0
                :: else
                fi
#endif
            od;
            ring++
        :: else -> break
        od;
        found = 0;
#ifdef BUG_LOOK_BEFORE_ANNOUNCE
        ring = 0;
        do
        :: ring < PRODUCERS -> d_step { found = (found || head[ring] != memory[TAIL(ring)]); ring++ }
        :: else -> break
        od;
#endif
        /* announceSleep */
        store(CONSUMER, FLAG, ASLEEP);
#ifndef BUG_NO_FENCE_IN_ANNOUNCE
        fence(CONSUMER);
#endif
#if !defined(BUG_NO_SECOND_LOOK) && !defined(BUG_LOOK_BEFORE_ANNOUNCE)
        ring = 0;
        do
        :: ring < PRODUCERS -> d_step { found = (found || head[ring] != memory[TAIL(ring)]); ring++ }
        :: else -> break
        od;
#endif
        if
        :: found
        :: !found ->
            if
            :: hasLimit = 0
            :: hasLimit = 1
            fi;
end_asleep:
            if
            :: d_step { event == 1 -> event = 0 }       /* poll says readable, read takes the count */
            :: hasLimit                                 /* the time is over */
            fi;
            hasLimit = 0
        fi;
        /* withdraw */
        store(CONSUMER, FLAG, AWAKE)
    od
}

#define nothingLeft(p) (memory[TAIL(p)] == memory[HEAD(p)])

/* Comes to a step only when no other process can: then nobody may be left with work. */
proctype Monitor() {
end:
    timeout ->
        assert(nothingLeft(0));
#if PRODUCERS > 1
        assert(nothingLeft(1));
#endif
}

init {
    atomic {
        byte thread = 0;
        do
        :: thread < PRODUCERS -> run Producer(thread); run Flusher(thread); thread++
        :: else -> break
        od;
        run Consumer();
        run Flusher(CONSUMER);
        run Monitor();
        thread = 0
    }
}

#ifdef LIVENESS
ltl delivered { [] (<> (nothingLeft(0) || taken)) }
#endif
