// SPDX-License-Identifier: Apache-2.0
// A fork beside threads that are in the loader. W, the loader's write lock: recursive by the owner's id, and libc copies
// it into the child as it is. X, a lock of others, which their fork handlers take before the process is copied and give back
// after, in parent and child; theirs were registered before the shim's or after. S, libc's lock of all open files, which
// fork takes when every prepare handler has run. One thread forks; one walks, and edits the list of loaded objects,
// under X; one does so under S; one under neither.
//
// PREPARE_HOLDS (the rule to break): the shim's prepare handler takes W and keeps it until its parent and child
//     handlers have run.
// PREPARE_WAITS: it waits until nobody edits the list, holding nothing.
// neither: it does nothing.
// FIRST: the shim's handlers were registered first: its prepare handler runs after X was taken, its child handler
//     before X is given back. Otherwise the other way round.
// CHILD_REPAIRS (shim/loader/fork_handlers.cpp): a walk, or the child handler, that finds W owned by an id that no
//     thread of the child has makes it nobody's, and reads the snapshot where the list was being edited.
// RAW: no handler runs at all (_Fork, clone), nobody takes X: then only the walk that meets the lock can repair.

#ifndef ROUNDS
#define ROUNDS 1
#endif

#define FORKER 1 // _pid of init is 0, of the first process 1
#define CHILD 9  // its thread's id: none of the parent's

byte W, X, S;   // the owner's id; 0: free
bool editing;   // the list of loaded objects is inconsistent
byte child_W;   // the copy
bool child_editing;
byte child_x;

inline lock(mutex, me) { atomic { mutex == 0 -> mutex = me } }
inline unlock(mutex, me) { atomic { assert(mutex == me); mutex = 0 } }

inline walk_or_load() {
    lock(W, _pid);
    if
    :: true // a walk
    :: true -> editing = true; editing = false // dlopen, dlclose
    fi;
    unlock(W, _pid)
}

proctype under_x() {
    byte round;
    for (round : 1 .. ROUNDS) {
        lock(X, _pid);
        walk_or_load();
        unlock(X, _pid)
    }
}

proctype under_s() {
    byte round;
    for (round : 1 .. ROUNDS) {
        lock(S, _pid);
        walk_or_load();
        unlock(S, _pid)
    }
}

proctype beside() {
    byte round;
    for (round : 1 .. ROUNDS) { walk_or_load() }
}

inline prepare() {
#if defined(PREPARE_HOLDS)
    lock(W, FORKER)
#elif defined(PREPARE_WAITS)
    !editing // not for ever: whoever edits needs nothing of the forker's
#else
    skip
#endif
}

inline parent() {
#ifdef PREPARE_HOLDS
    unlock(W, FORKER)
#else
    skip
#endif
}

// What makes the child's lock usable: a look at who owns it. An edit is never undone: the list is not to be read.
inline repair() {
#ifdef CHILD_REPAIRS
    atomic {
        if
        :: child_W != 0 && child_W != CHILD -> child_W = 0
        :: else
        fi
    }
#else
#ifdef PREPARE_HOLDS
    child_W = 0 // it holds it itself, under its parent's id
#else
    skip
#endif
#endif
}

// The child has one thread. It walks: in a child handler of others, or later.
inline child_walks() {
#ifdef CHILD_REPAIRS
    repair();
#endif
    lock(child_W, CHILD);
    if
    :: child_editing ->
#ifdef CHILD_REPAIRS
       skip // the snapshot
#else
       assert(false) // it would read half an edited list
#endif
    :: else
    fi;
    unlock(child_W, CHILD)
}

proctype child() {
#ifdef RAW
    child_walks()
#else
#ifdef FIRST
    repair();
    child_walks(); // the others' handler
    unlock(child_x, FORKER)
#else
    child_walks(); // the others' handler
    unlock(child_x, FORKER);
    repair()
#endif
#endif
    ;
    child_walks();
    child_walks();
    assert(child_W == 0)
}

inline copy_process() {
#ifndef RAW
    lock(S, FORKER);
#endif
    atomic {
        child_W = W;
        child_editing = editing;
        child_x = X
    }
#ifndef RAW
    ;
    unlock(S, FORKER)
#endif
}

proctype forker() {
#ifdef RAW
    copy_process()
#else
#ifdef FIRST
    lock(X, FORKER);
    prepare();
    copy_process();
    parent();
    unlock(X, FORKER)
#else
    prepare();
    lock(X, FORKER);
    copy_process();
    unlock(X, FORKER);
    parent()
#endif
#endif
    ;
    run child()
}

init {
    atomic { run forker(); run under_x(); run under_s(); run beside() }
    _nr_pr == 1;
    assert(W == 0 && X == 0 && S == 0)
}
