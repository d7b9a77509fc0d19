// SPDX-License-Identifier: Apache-2.0
// Who waits for whom: L, the loader's lock; M, the allocator's lock; X, a lock of the application. Two threads walk the
// loaded objects and allocate, free and take X in their callbacks; two threads allocate while they own X, and their
// allocator unwinds inside malloc. A state from which nobody can go on is a deadlock; spin looks at every state.
//
// RULE_1 (shim/doors: divert, defer): a thread that owns L never enters the allocator.
// RULE_2 (shim/doors/dl_iterate_phdr.cpp: snapshot): a thread inside the allocator never waits for L.
// LOCK3: the application's lock takes part. Without it the deadlock has two locks, with it three.

#ifndef ROUNDS
#define ROUNDS 2
#endif

byte L, M, X;  // the owner's _pid; 0: free (init has 0 and takes none)
byte deferred; // frees that wait for a thread that owns no loader lock

inline lock(mutex) { atomic { mutex == 0 -> mutex = _pid } }
inline unlock(mutex) { atomic { assert(mutex == _pid); mutex = 0 } }

// dl_iterate_phdr, called by the unwinder that the allocator runs under M.
inline walk_in_allocator() {
#ifdef RULE_2
    if
    :: atomic { L == 0 -> L = _pid }; // try: free, walk for real
       unlock(L)
    :: L != 0 // busy: snapshot
    fi
#else
    lock(L);
    unlock(L)
#endif
}

// The real allocator: takes its lock, and may record a stack.
inline allocator() {
    lock(M);
    if
    :: true -> walk_in_allocator()
    :: true
    fi;
    unlock(M)
}

// Without rule 1. The thread owns L already: it is recursive, so its own walk does not wait.
inline allocator_under_l() {
    lock(M);
    unlock(M)
}

inline allocate() {
#ifdef RULE_1
    if
    :: L == _pid // divert: the arena has no lock
    :: else -> allocator()
    fi
#else
    allocator_under_l()
#endif
}

inline deallocate() {
#ifdef RULE_1
    if
    :: L == _pid -> deferred++ // defer
    :: else -> allocator()
    fi
#else
    allocator_under_l()
#endif
}

inline drain() {
    assert(L != _pid);
    do
    :: atomic { deferred > 0 -> deferred-- }; allocator()
    :: deferred == 0 -> break
    od
}

// A profiler that reads symbols in its callback; dlopen and dlclose do the same without one.
proctype walker() {
    byte round;
    for (round : 1 .. ROUNDS) {
        lock(L);
        if
        :: true -> allocate()
        :: true -> deallocate()
#ifdef LOCK3
        :: true -> lock(X); allocate(); unlock(X)
#endif
        :: true
        fi;
        unlock(L);
        drain()
    }
}

proctype grower() {
    byte round;
    for (round : 1 .. ROUNDS) {
#ifdef LOCK3
        lock(X);
#endif
        allocator();
#ifdef LOCK3
        unlock(X)
#endif
    }
}

init {
    atomic { run walker(); run walker(); run grower(); run grower() }
    _nr_pr == 1;
    assert(deferred == 0); // never lost
    assert(L == 0 && M == 0 && X == 0)
}
