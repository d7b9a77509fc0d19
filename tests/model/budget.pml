// SPDX-License-Identifier: Apache-2.0
// What the second rule carries alone once the budget of a stretch is used up. L, the load lock, which dlopen keeps while
// constructors run, however long; W, the write lock, which walks take, and dlopen for a moment inside L; M, the
// allocator's. Threads that own W are served without M (first rule); threads that own L alone are, too, until the
// budget is used up, which may be at any moment.
//
// RULE_2 (shim/doors/dl_iterate_phdr.cpp): a thread inside the allocator never waits for W.
// RULE_1_UNDER_W (shim/doors: divert, defer): kept under the write lock, whatever the budget says.
// LOCK3: an application's lock takes part: walks take it in their callbacks, and somebody allocates under it. Then the
//     first rule does not do without the second, wherever it is kept.
// REENTERS: something inside the allocator wants L itself (dlopen, dlsym, dladdr, thread-local storage before glibc
//     2.35): no rule helps beside a thread that owns L and enters the allocator. It is why there is a budget at all.
// NO_BUDGET: rule 1 under the load lock, always: then that one runs too.

#ifndef ROUNDS
#define ROUNDS 2
#endif

byte L, W, M, X; // the owner's _pid; 0: free
bool used_up;    // the budget

inline lock(mutex) { atomic { mutex == 0 -> mutex = _pid } }
inline unlock(mutex) { atomic { assert(mutex == _pid); mutex = 0 } }

// The unwinder that the allocator runs under M.
inline walk_in_allocator() {
#ifdef RULE_2
    if
    :: atomic { W == 0 -> W = _pid }; unlock(W) // try: free, walk for real
    :: W != 0 && W != _pid                      // busy: snapshot
    :: W == _pid                                // recursive
    fi
#else
    if
    :: W == _pid
    :: W != _pid -> lock(W); unlock(W)
    fi
#endif
}

inline allocator() {
    lock(M);
    if
    :: true -> walk_in_allocator()
    :: true
#ifdef REENTERS
    :: L != _pid -> lock(L); unlock(L)
#endif
    fi;
    unlock(M)
}

inline allocate() {
    if
#ifdef RULE_1_UNDER_W
    :: W == _pid // divert
    :: W != _pid && L == _pid && !used_up // divert
    :: W != _pid && (L != _pid || used_up) -> allocator()
#else
    :: L == _pid && !used_up // divert
    :: L != _pid || used_up -> allocator()
#endif
    fi
}

// dlopen: the constructor is the program. It allocates, walks, and loads more.
proctype loads() {
    byte round;
    lock(L);
    for (round : 1 .. ROUNDS) {
        if
        :: true -> allocate()
        :: true -> lock(W); allocate(); unlock(W)
        :: true -> lock(W); unlock(W)
        fi
    }
    unlock(L)
}

proctype walks() {
    byte round;
    for (round : 1 .. ROUNDS) {
        lock(W);
#ifdef LOCK3
        lock(X);
#endif
        allocate();
#ifdef LOCK3
        unlock(X);
#endif
        unlock(W)
    }
}

proctype grows() {
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

proctype budget() {
#ifdef NO_BUDGET
    skip
#else
    used_up = true
#endif
}

init {
    atomic { run loads(); run walks(); run grows(); run budget() }
    _nr_pr == 1;
    assert(L == 0 && W == 0 && M == 0 && X == 0)
}
