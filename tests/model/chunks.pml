// SPDX-License-Identifier: Apache-2.0
// The life of a chunk as in shim/arena/arena.cpp, arena_rooms.cpp and chunk.h: blocks are cut by the owner of the cursor and
// freed by anyone; a chunk is reset in place, or retired by subtracting the bias, recycled by the one subtraction that
// reaches 0, listed under a new generation, popped and reused; or adopted by adding the bias while blocks of it are live,
// and cut from where a mark says that a block was freed, perhaps before its freer has subtracted it. Two producers, two
// freers, every interleaving of the atomic steps. What only the owner of a span can see goes in one step with the
// operation that gave it the span. All blocks have one size, so counting blocks stands for counting bytes. A producer
// frees blocks of its own chunk too: the newest one by moving its offset back, others by keeping the count to itself.
//
// Checked: no block is handed out twice, no chunk is recycled while a block of it is live or while somebody cuts from
// it, no span is in two hands, none is lost.
//
// NO_GENERATION, RECYCLE_EARLY, RESET_LIVE, NO_BIAS, ADOPT_OWNED and ADOPT_EMPTY drop one rule each: then an assertion
// must fail.

#ifndef CHUNKS
#define CHUNKS 3
#endif
#define PER_CHUNK 2 // blocks
#define BIAS 8      // Chunk::owned
#ifndef CUTS
#define CUTS 4 // per producer
#endif

#ifdef NO_GENERATION
#define NEXT_GENERATION(g) g
#else
#define NEXT_GENERATION(g) (g + 1)
#endif

// SpanList::head_, and Chunk::next: index + 1, 0 at the end.
byte head_first;
byte head_generation;
byte next[CHUNKS];

byte live[CHUNKS];
byte frontier;

// Ghosts, which the code does not have: who cuts from the chunk, which blocks are in somebody's hands.
byte owner[CHUNKS]; // 0: nobody
bool in_hands[6]; // three chunks at most
byte producing = 2;

// SpanList::push
inline push(index) {
    do
    :: atomic { first = head_first; generation = head_generation; next[index] = first }
       atomic {
           if
           :: head_first == first && head_generation == generation ->
              head_first = index + 1;
              head_generation = NEXT_GENERATION(generation);
              break
           :: else
           fi
       }
    od
}

// Arena::recycle
inline recycle(index) {
    atomic {
        assert(owner[index] == 0);
        assert(!in_hands[(index) * PER_CHUNK] && !in_hands[(index) * PER_CHUNK + 1]);
    }
    push(index);
    atomic { first = 0; generation = 0 }
}

// SpanList::pop and Arena::advance_frontier: `chunk` is index + 1 of a span that is now ours alone, 0 if there is none.
inline take_span() {
    do
    :: atomic {
           first = head_first;
           generation = head_generation;
           if
           :: first == 0 ->
              if
              :: frontier < CHUNKS -> frontier++; chunk = frontier
              :: else
              fi;
              break
           :: else
           fi
       }
       after = next[first - 1];
       atomic {
           if
           :: head_first == first && head_generation == generation ->
              head_first = after;
              head_generation = NEXT_GENERATION(generation);
              chunk = first;
              break
           :: else
           fi
       }
    od;
    atomic {
        if
        :: chunk != 0 ->
           assert(owner[chunk - 1] == 0); // in two hands
           owner[chunk - 1] = _pid;
           live[chunk - 1] = BIAS
        :: else
        fi;
        offset = 0; first = 0; generation = 0; after = 0
    }
}

// Arena::retire_chunk
inline retire() {
    atomic {
        owner[chunk - 1] = 0;
        before = live[chunk - 1];
#ifdef NO_BIAS
        live[chunk - 1] = 0 // forgets the blocks that are still to come back
#else
        live[chunk - 1] = before - (BIAS - (offset - freed))
#endif
    }
    if
#ifdef NO_BIAS
    :: before != 0 -> recycle(chunk - 1)
#else
    :: before == BIAS - (offset - freed) -> recycle(chunk - 1)
#endif
    :: else
    fi;
    atomic { before = 0; chunk = 0; freed = 0 }
}

#ifdef ADOPTION
// Arena::take_retired and Arena::next_room: a chunk of which one block is live becomes ours, and its other place is the
// room. `offset` and `freed` are such that what is skipped counts as freed, and a room in the first place ends there.
inline adopt() {
    at = 0;
    do
    :: at == CHUNKS -> break
    :: else ->
       seen = live[at];
       atomic {
           if
#if defined(ADOPT_OWNED)
           :: seen != 0 && live[at] == seen ->
#elif defined(ADOPT_EMPTY)
           :: seen <= PER_CHUNK && live[at] == seen && at < frontier ->
#else
           :: seen != 0 && seen <= PER_CHUNK && live[at] == seen ->
#endif
              assert(owner[at] == 0); // cut from by two
              owner[at] = _pid;
              live[at] = live[at] + BIAS;
              chunk = at + 1;
              if
              :: !in_hands[at * PER_CHUNK] -> offset = 0; freed = 0; last = (in_hands[at * PER_CHUNK + 1] -> 1 : 2)
              :: in_hands[at * PER_CHUNK] && !in_hands[at * PER_CHUNK + 1] -> offset = 1; freed = 1; last = 2
              :: else -> offset = 2; freed = 2; last = 2
              fi
           :: else
           fi
       }
       if
       :: chunk != 0 && offset < last -> break
       :: chunk != 0 -> retire(); break // no room
       :: else -> at++
       fi
    od;
    atomic { at = 0; seen = 0 }
}
#define next_chunk() adopt(); if :: chunk == 0 -> take_span(); last = PER_CHUNK :: else fi
#else
#define next_chunk() take_span()
#define last PER_CHUNK // there are no other rooms
#endif

proctype producer() {
#ifdef ADOPTION
    byte last = PER_CHUNK; // the room's end
    byte at, seen;
#endif
    byte chunk;  // index + 1, as in ArenaCursor
    byte offset; // blocks cut since the last reset
    byte freed;  // of them, freed by this producer itself
    byte cuts, first, generation, after, before;

    do
    :: cuts == CUTS -> break
    :: else ->
       if
       :: chunk != 0 && offset == last -> // Arena::refill
          if
#ifdef RESET_LIVE
          :: live[chunk - 1] <= BIAS -> live[chunk - 1] = BIAS; offset = 0; freed = 0
#else
          :: live[chunk - 1] == BIAS - (offset - freed) -> // every block has come back
             live[chunk - 1] = BIAS; offset = 0; freed = 0
#ifdef ADOPTION
             ; last = PER_CHUNK
#endif
#endif
          :: else -> retire(); next_chunk()
          fi
       :: chunk == 0 -> next_chunk()
       :: else
       fi;
       atomic { // Arena::allocate
           if
           :: chunk != 0 ->
              assert(owner[chunk - 1] == _pid);
              assert(!in_hands[(chunk - 1) * PER_CHUNK + offset]); // handed out twice
              in_hands[(chunk - 1) * PER_CHUNK + offset] = true;
              offset++
           :: else // full: the caller forwards
           fi;
           cuts++
       }
       if // Arena::deallocate and Arena::free_here
       :: atomic { chunk != 0 && offset > 0 && in_hands[(chunk - 1) * PER_CHUNK + offset - 1] ->
              in_hands[(chunk - 1) * PER_CHUNK + offset - 1] = false; offset-- }
       :: atomic { chunk != 0 && in_hands[(chunk - 1) * PER_CHUNK] ->
              in_hands[(chunk - 1) * PER_CHUNK] = false; freed++ }
       :: skip
       fi
    od;
    if // the thread ends
    :: chunk != 0 -> retire()
    :: else
    fi;
    producing--
}

// Any block that is in somebody's hands, at any time.
proctype freer() {
    byte block, first, generation, before;
    do
    :: atomic {
           if
           :: in_hands[0] -> block = 0
           :: in_hands[1] -> block = 1
           :: in_hands[2] -> block = 2
           :: in_hands[3] -> block = 3
           :: in_hands[4] -> block = 4
           :: in_hands[5] -> block = 5
           :: producing == 0 && !(in_hands[0] || in_hands[1] || in_hands[2] || in_hands[3] || in_hands[4] || in_hands[5]) ->
              break
           fi;
           in_hands[block] = false // the mark
#ifdef ADOPTION
       }
       atomic {
#else
           ;
#endif
           before = live[block / PER_CHUNK];
           live[block / PER_CHUNK] = before - 1
       }
       if
       :: before == 1 -> recycle(block / PER_CHUNK)
#ifdef RECYCLE_EARLY
       :: before == BIAS - 1 -> recycle(block / PER_CHUNK)
#endif
       :: else
       fi;
       atomic { block = 0; before = 0 }
    od
}

// When all is over every chunk lies in the list once, or was never taken.
init {
    byte listed, at;
    atomic { run producer(); run producer(); run freer(); run freer() }
    _nr_pr == 1;
    at = head_first;
    do
    :: at != 0 && listed <= CHUNKS -> listed++; at = next[at - 1]
    :: else -> break
    od;
    assert(listed == frontier) // lost, or listed twice
}
