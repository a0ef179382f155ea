/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What `pvm demo` and the guest's init agree on. The guest's console carries
 * PVM-DEMO: lines; the page at `keep` carries the host's acknowledgement.
 */
#ifndef PVM_DEMO_H
#define PVM_DEMO_H

#define DEMO_TAG	"PVM-DEMO: "
/* ready private=ADDR shared=ADDR keep=ADDR */
#define DEMO_READY	DEMO_TAG "ready "
/* answer TEXT */
#define DEMO_ANSWER	DEMO_TAG "answer "
/* unshared: the shared page is private again, with DEMO_AFTER in it or not */
#define DEMO_UNSHARED	DEMO_TAG "unshared"
/* holds N MiB: of memory that it has written to; freed: not any more */
#define DEMO_HOLDS	DEMO_TAG "holds "
#define DEMO_FREED	DEMO_TAG "freed"
/* hoards REASON: what it frees does not go back to the host */
#define DEMO_HOARDS	DEMO_TAG "hoards "
/* intact: the private page still holds what the guest wrote */
#define DEMO_INTACT	DEMO_TAG "intact"
#define DEMO_DAMAGED	DEMO_TAG "damaged"
/* none REASON: no dialogue in this guest */
#define DEMO_NONE	DEMO_TAG "none "

/* Page contents. */
#define DEMO_SECRET	"a secret of the guest's"
#define DEMO_HELLO	"hello from the protected guest"
#define DEMO_REPLY	"hello from the host"
#define DEMO_KEEP	"shared to the end"
#define DEMO_ACK	"go on"

/*
 * Where in a page the host writes: the reply, and in the page at `keep` an
 * acknowledgement of each line that waits for one. Nothing is written twice.
 */
#define DEMO_REPLY_OFF	2048
#define DEMO_SEEN_OFF	2048		/* unshared */
#define DEMO_HOLDS_OFF	2112
#define DEMO_FREED_OFF	2176

/* On the guest's command line: there is a `pvm demo` to talk with. */
#define DEMO_WORD	"pvm.demo"

#define DEMO_PATIENCE_MS	60000

#endif
