/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol between a protected guest's vCPUs, EL2, the host's run loop, its user faults,
 * conversion by ioctl, PUNCH_HOLE and the VM's end, on the pages of one guest_memfd.
 *
 * An atomic block is what one lock makes atomic: EL2's component locks for each el2_*, the
 * file's invalidate_lock (inv) for what the host does between taking and dropping it. The host
 * may be interrupted between any two of its own steps, so that whatever is safe only by order
 * shows. A vCPU may be at an HVC that waits for the host; the record of EL2 says so.
 *
 * Safety is the assertions in CHECK() after each change, and no invalid end state (deadlock).
 * "No wake is lost" is the never claim at the end: an UNSHARE that was told to wait for
 * references is, once the references are gone for good, sooner or later done or moot.
 *
 * NPAGES and NVCPUS set the bounds; a BAD_* seeds one bug, see run.sh.
 */
#ifndef NPAGES
#define NPAGES 1
#endif
#ifndef NVCPUS
#define NVCPUS 2
#endif
#ifndef TRIES
#define TRIES 2		/* how often userspace and the VMM do something */
#endif

#ifdef BAD_USER_FAULT_WITHOUT_LOCK
#define USER_LOCK	skip
#define USER_UNLOCK	skip
#else
#define USER_LOCK	LOCK_SHARED
#define USER_UNLOCK	UNLOCK_SHARED
#endif

/* The guest's entry, and the host's state of the page that is behind the offset. */
mtype = { NOPAGE, OWNED, SHARED, POISON, GUARDED, HOST_OWNED, HOST_BORROWED, HOST_NONE };
mtype = { NO_REQ, REQ_SHARE, REQ_UNSHARE, REQ_TABLES };

mtype guest[NPAGES] = NOPAGE;
mtype host[NPAGES] = HOST_OWNED;
bool private[NPAGES] = true;	/* the attribute */
bool mapped[NPAGES];		/* in userspace's page tables */
byte refs[NPAGES];		/* beyond the page cache's */
bool secret[NPAGES];		/* a guest wrote it while it was its alone */
bool punched[NPAGES];		/* taken from a guest that lives */
bool device[NPAGES];		/* the guest was told that it has one there */
byte file_gone;			/* the VM is at its end */
bool wants[NPAGES];		/* userspace was told to let go of it */
bool woken[NVCPUS];		/* userspace has let go: run this vCPU again */

mtype rec_op[NVCPUS] = NO_REQ;	/* EL2's record of each vCPU */
byte rec_page[NVCPUS];
bool tables[NVCPUS];		/* what EL2 can make a vCPU's page tables of */
bool waits[NVCPUS];		/* at an HVC that userspace must help first */
bool dead;

bool inv;			/* the invalidate_lock, held exclusively */
byte readers;			/* ... or shared */

#define LOCK	atomic { !inv && readers == 0 -> inv = true }
#define UNLOCK	inv = false
#define LOCK_SHARED	atomic { !inv -> readers++ }
#define UNLOCK_SHARED	readers--

/* What a host access may reach, and what may be reached by one. */
inline check(p)
{
	assert(!(guest[p] == OWNED) || host[p] == HOST_NONE);
	assert(!(guest[p] == SHARED) || host[p] == HOST_BORROWED);
	assert(!secret[p] || host[p] == HOST_NONE);
	/* Denied, never fooled: what was taken does not come back by itself. */
	assert(!punched[p] || guest[p] == POISON || guest[p] == NOPAGE);
	/* A device stays one, and nobody's page is behind it. */
	assert(!device[p] || guest[p] == GUARDED);
	assert(!(guest[p] == GUARDED) || host[p] == HOST_OWNED);
	/* The rule: SHARED only while EL2 lets the host in. Seen without the lock held. */
	assert(inv || private[p] || host[p] != HOST_NONE);
	/* Nobody on the host's side is left with a page that the guest believes its own. */
	assert(!(guest[p] == OWNED) || (!mapped[p] && refs[p] == 0));
}

/* EL2: each is one stay under its locks. */

inline el2_donate(p, ok)
{
	atomic {
#ifdef BAD_DONATE_OVER_DEVICE
		ok = ((guest[p] == NOPAGE || guest[p] == GUARDED) && host[p] == HOST_OWNED && !dead);
#else
		ok = (guest[p] == NOPAGE && host[p] == HOST_OWNED && !dead);
#endif
		if
		:: ok -> host[p] = HOST_NONE; guest[p] = OWNED
		:: else
		fi;
		check(p)
	}
}

/* The first half of a guest's call. */
inline el2_call(v, p, op, ok)
{
	atomic {
		rec_op[v] = NO_REQ;
		ok = ((op == REQ_SHARE && guest[p] == OWNED) ||
		      (op == REQ_UNSHARE && guest[p] == SHARED));
		if
		:: ok -> rec_op[v] = op; rec_page[v] = p
		:: else
		fi
	}
}

/* MMIO guard: one stay, if there is something to make tables of. */
inline el2_guard(v, p)
{
	atomic {
		rec_op[v] = NO_REQ;
		if
#ifdef BAD_GUARD_OVER_PAGE
		:: !tables[v] && !dead ->
#else
		:: guest[p] == NOPAGE && !tables[v] && !dead ->
#endif
			rec_op[v] = REQ_TABLES;
			rec_page[v] = p
#ifdef BAD_GUARD_OVER_PAGE
		:: tables[v] && !dead ->
#else
		:: guest[p] == NOPAGE && tables[v] && !dead ->
#endif
			tables[v] = false;
			guest[p] = GUARDED;
			device[p] = true
		:: else
		fi;
		check(p)
	}
}

/* The second half: everything is checked again. */
inline el2_complete(v, ok)
{
	atomic {
		ok = (rec_op[v] != NO_REQ && !dead);
#ifndef BAD_COMPLETE_UNCHECKED
		ok = ok && (rec_op[v] == REQ_TABLES ||
			    (rec_op[v] == REQ_SHARE && guest[rec_page[v]] == OWNED) ||
			    (rec_op[v] == REQ_UNSHARE && guest[rec_page[v]] == SHARED));
#endif
		if
		:: ok && rec_op[v] == REQ_SHARE ->
			guest[rec_page[v]] = SHARED;
			host[rec_page[v]] = HOST_BORROWED;
			secret[rec_page[v]] = false
		:: ok && rec_op[v] == REQ_TABLES ->
#ifndef BAD_TABLES_ARE_AN_ANSWER
			tables[v] = true
#else
			device[rec_page[v]] = true
#endif
		:: ok && rec_op[v] == REQ_UNSHARE ->
			host[rec_page[v]] = HOST_NONE;
			guest[rec_page[v]] = OWNED
		:: else
		fi;
		if
		:: ok -> rec_op[v] = NO_REQ
		:: else
		fi;
		check(rec_page[v])
	}
}

inline el2_reclaim(p)
{
	atomic {
		if
		:: guest[p] == OWNED || guest[p] == SHARED ->
			guest[p] = (dead -> NOPAGE : POISON);
			punched[p] = !dead;
#ifndef BAD_NO_SCRUB
			secret[p] = false;
#endif
			host[p] = HOST_OWNED
		:: else
		fi;
		check(p)
	}
}

/* The host kernel */

inline isolate(p, ok)
{
	mapped[p] = false;
	ok = (refs[p] == 0)
}

/* A guest touches a page that it has not: the fault takes the lock shared. */
inline fault(v, p, ok)
{
	LOCK_SHARED;
	if
#ifndef BAD_FAULT_IGNORES_ATTRIBUTE
	:: !private[p] || file_gone -> ok = false
#endif
	:: else -> el2_donate(p, ok)
	fi;
	UNLOCK_SHARED
}

/* The run loop has a request of vCPU v's before it. */
inline serve(v)
{
#ifndef BAD_NO_LOCK
	LOCK;
#endif
	ok = true;
	if
	:: rec_op[v] == REQ_UNSHARE && !file_gone ->
#ifndef BAD_EL2_FIRST
		isolate(rec_page[v], ok)
#else
		skip
#endif
	:: else
	fi;
	if
	:: !ok ->
#ifdef BAD_LOST_WAKE
		wants[rec_page[v]] = true;
		waits[v] = true
#else
		waits[v] = true;
		wants[rec_page[v]] = true
#endif
	:: else ->
		was = rec_op[v];
		el2_complete(v, ok);
		if
		:: ok && was == REQ_SHARE -> private[rec_page[v]] = false
#ifndef BAD_ATTRIBUTE_STAYS
		:: ok && was == REQ_UNSHARE -> private[rec_page[v]] = true
#endif
		:: else
		fi
	fi;
	d_step {
		was = NO_REQ;
		ok = false
	}
#ifndef BAD_NO_LOCK
	UNLOCK
#endif
}

proctype vcpu(byte v)
{
	byte p;
	bool ok;
	mtype was;

	do
	:: dead -> break
	/* It was told that userspace has let go: the same HVC again. */
	:: !dead && waits[v] && woken[v] ->
		p = rec_page[v];
		atomic { waits[v] = false; woken[v] = false }
		el2_call(v, p, REQ_UNSHARE, ok);
		if
		:: ok -> serve(v)
		:: else
		fi
	:: !dead && !waits[v] ->
		if
		:: p = 0
#if NPAGES > 1
		:: p = 1
#endif
		fi;
		if
		:: atomic { guest[p] == OWNED -> secret[p] = true; check(p) }
		:: guest[p] == NOPAGE -> fault(v, p, ok)
		/* A device; perhaps the call is made again. Tables need none of the host's locks. */
		:: guest[p] == NOPAGE ->
			el2_guard(v, p);
			if
			:: rec_op[v] == REQ_TABLES -> el2_complete(v, ok); el2_guard(v, p)
			:: else
			fi
		:: guest[p] == OWNED ->
			el2_call(v, p, REQ_SHARE, ok);
			if
			:: ok -> serve(v)
			:: else
			fi
		:: guest[p] == SHARED ->
			el2_call(v, p, REQ_UNSHARE, ok);
			if
			:: ok -> serve(v)
			:: else
			fi
		:: skip
		fi
	od
}

/* Host userspace: faults and short references (GUP). */
proctype user(byte p)
{
	byte left = TRIES;

	do
	:: dead || left == 0 -> break
	:: !dead && left > 0 ->
		left--;
		/* The attribute is looked at, and the page taken, under the shared lock. */
		USER_LOCK;
		if
		:: !private[p] && !file_gone ->
			atomic { mapped[p] = true; check(p) };
			if
			:: atomic { refs[p]++; check(p) }
			:: skip
			fi
		:: else
		fi;
		USER_UNLOCK
	od
}

/*
 * Short references end by themselves, and userspace lets go of what it was asked for: that
 * takes none of the kernel's locks.
 */
proctype holder(byte p)
{
end:	do
	:: atomic { refs[p] > 0 -> refs[p]-- }
	:: atomic {
		wants[p] && refs[p] == 0 ->
		wants[p] = false;
		woken[0] = woken[0] || (waits[0] && rec_page[0] == p);
#if NVCPUS > 1
		woken[1] = woken[1] || (waits[1] && rec_page[1] == p)
#endif
	}
	od
}

/* The host's ioctl, PUNCH_HOLE, and at last the VM's end. */
proctype vmm()
{
	byte p, left = TRIES;
	bool ok;

	do
	:: left > 0 ->
		left--;
		if
		:: p = 0
#if NPAGES > 1
		:: p = 1
#endif
		fi;
		LOCK;
		if
		/* To private: nobody may hold it. The guest's state stays. */
		:: isolate(p, ok);
		   if
		   :: ok -> private[p] = true
		   :: else
		   fi
		/* To shared: only by EL2's consent. */
#ifndef BAD_CONVERT_WITHOUT_CONSENT
		:: atomic { host[p] != HOST_NONE -> private[p] = false }
#else
		:: private[p] = false
#endif
		/* A hole: EL2 first, then the page goes; who holds it holds what is the host's. */
		:: el2_reclaim(p);
		   atomic { mapped[p] = false; refs[p] = 0; check(p) }
		:: skip
		fi;
		UNLOCK;
		atomic { check(p) }
	:: break
	od;

	/* The end: no vCPU runs any more, then everything is taken back. */
	atomic {
		dead = true;
		rec_op[0] = NO_REQ;
#if NVCPUS > 1
		rec_op[1] = NO_REQ;
#endif
	}
	LOCK;
	for (p : 0 .. NPAGES - 1) {
#ifndef BAD_FREE_BEFORE_RECLAIM
		el2_reclaim(p);
#endif
		atomic {
			file_gone = 1;
			/* Only what is the host's reaches the page allocator. */
			assert(host[p] == HOST_OWNED)
		}
	}
	UNLOCK
}

init {
	byte i;

	atomic {
		for (i : 0 .. NVCPUS - 1) {
			run vcpu(i)
		}
		for (i : 0 .. NPAGES - 1) {
			run user(i);
			run holder(i)
		}
		run vmm()
	}
}

/* A vCPU that waits is not left waiting once nothing is left that could hold the page. */
#define waiting	(waits[0] && !dead)
ltl no_lost_wake { [] (waiting -> <> !waiting) }
