// SPDX-License-Identifier: GPL-2.0-only
/*
 * What pvm demo finds in the guest's memory once the guest has ended.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/demo_parts.h"
#include "common/gmem.h"
#include "common/layout.h"
#include "common/pagemap.h"
#include "guest/demo.h"
#include "inspection/kmsg.h"
#include "inspection/probe.h"

#define TEARDOWN_TRIES		200
#define TEARDOWN_PAUSE_US	10000

static bool is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i])
			return false;
	}
	return true;
}

static int read_page(struct demo *d, uint64_t off, uint8_t *buf)
{
	return probe_read(d->ram + off, buf, PVM_PAGE);
}

/* Was the page private when the guest died? */
static uint8_t *private_map(struct demo *d)
{
	uint8_t *map = calloc(d->target.size / PVM_PAGE, 1);
	struct gmem_run run;

	for (uint64_t off = 0; map && off < d->target.size; off += run.size) {
		if (gmem_next_run(d->target.fd, off, d->target.size, &run)) {
			free(map);
			return NULL;
		}
		memset(map + off / PVM_PAGE, run.private && run.populated,
		       run.size / PVM_PAGE);
	}
	return map;
}

static void demo_scrubbed_all(struct demo *d, const uint8_t *private)
{
	unsigned long long owned = 0, dirty = 0, barred = 0;
	uint8_t page[PVM_PAGE];

	if (d->trace_err) {
		demo_result(d, ROW_SCRUBBED_ALL, false, "not checked: tracepoint pkvm_gmem_donate: %s",
		       strerror(-d->trace_err));
		return;
	}
	if (d->trace.lossy) {
		demo_result(d, ROW_SCRUBBED_ALL, false, "not checked: the trace lost events");
		return;
	}
	/* What the guest never touched it never owned: there our image is left. */
	for (uint64_t i = 0; i < d->target.size / PVM_PAGE; i++) {
		if (!private[i] || !d->trace.donated[i])
			continue;
		owned++;
		if (read_page(d, i * PVM_PAGE, page))
			barred++;
		else if (!is_zero(page, PVM_PAGE))
			dirty++;
	}
	demo_result(d, ROW_SCRUBBED_ALL, owned && !dirty && !barred,
	       "%llu pages: %llu not zero, %llu unreadable", owned, dirty, barred);
}

/* The VMM is gone; the file is ours alone. */
void demo_after(struct demo *d)
{
	uint8_t *private, page[PVM_PAGE];
	uint64_t stuck = 0, pfn;
	int ret = 0, sig;

	if (!d->ready)
		return;
	private = private_map(d);
	if (!private) {
		demo_result(d, ROW_SCRUBBED_PAGE, false, "not checked: the map cannot be read");
		return;
	}
	/* What the guest owned comes back as the VMM's memory is torn down. */
	for (int i = 0; i < TEARDOWN_TRIES; i++) {
		ret = gmem_set(d->target.fd, 0, d->target.size, false, &stuck);
		if (ret != -EPERM)
			break;
		usleep(TEARDOWN_PAUSE_US);
	}
	if (ret) {
		demo_result(d, ROW_SCRUBBED_PAGE, false, "not checked: cannot be made shared: %s at %#llx",
		       strerror(-ret), (unsigned long long)(PVM_RAM_BASE + stuck));
		free(private);
		return;
	}

	sig = read_page(d, d->private_off, page);
	if (!private[d->private_off / PVM_PAGE])
		demo_result(d, ROW_SCRUBBED_PAGE, false, "it was not private at the end");
	else
		demo_result(d, ROW_SCRUBBED_PAGE, !sig && is_zero(page, PVM_PAGE), "%s",
		       sig ? probe_result(sig) : is_zero(page, PVM_PAGE) ? "zero" : "NOT zero");

	if (!d->trace_err)
		d->trace_err = trace_read(&d->trace, d->target.size / PVM_PAGE);
	demo_scrubbed_all(d, private);

	sig = read_page(d, d->shared_off, page);
	pfn = sig ? 0 : pfn_of(d->ram + d->shared_off);
	demo_result(d, ROW_SAME_AFTER, pfn && pfn == d->shared_pfn, "shared pfn %#llx, now %#llx",
	       (unsigned long long)d->shared_pfn, (unsigned long long)pfn);

	sig = read_page(d, d->keep_off, page);
	page[sizeof(DEMO_KEEP)] = 0;
	demo_result(d, ROW_KEPT, !sig && !private[d->keep_off / PVM_PAGE] &&
	       !memcmp(page, DEMO_KEEP, sizeof(DEMO_KEEP)), "%s%s%s",
	       sig ? probe_result(sig) : "\"", sig ? "" : (char *)page, sig ? "" : "\"");
	free(private);
}

void demo_kmsg(struct demo *d)
{
	unsigned int lines;
	char first[120];
	int ret = kmsg_check(&lines, first, sizeof(first));

	if (ret == -ENODATA)
		demo_result(d, ROW_KMSG, false, "lines were lost: start with a larger log_buf_len=");
	else if (ret < 0)
		demo_result(d, ROW_KMSG, false, "not checked: /dev/kmsg: %s", strerror(-ret));
	else if (ret)
		demo_result(d, ROW_KMSG, false, "%d reports: %s", ret, first);
	else
		demo_result(d, ROW_KMSG, true, "none in %u lines", lines);
}
