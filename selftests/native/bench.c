// SPDX-License-Identifier: LGPL-2.1-or-later
#include <getopt.h>
#include <stdlib.h>

#include "../../tools/out.h"
#include "bench.h"
#include "twin.h"

/* net.onload.wire_ring and wire_ring_max by default: 16 and 256 KB */
#define RING_SHIFT     14
#define RING_MAX_SHIFT 18

#define LINE_TARGET  3.0 /* cache-line round trips in one of 64 bytes */
#define STEPS_TARGET 400
#define STEPS_SIZE   64

const struct bench_plan bench_plans[] = {
	{ "round trip, 64 B", BENCH_RTT, false, 64, 50, 25 },
	{ "round trip, 64 B, recv() spins", BENCH_RTT, true, 64, 50, 0 },
	{ "round trip, 1 KB", BENCH_RTT, false, 1024, 50, 10 },
	{ "round trip, 16 KB", BENCH_RTT, false, 16384, 20, 3 },
	{ "stream of 4 KB writes", BENCH_STREAM, false, 4096, 256, 5 },
};

static_assert(sizeof(bench_plans) / sizeof(bench_plans[0]) == BENCH_PLANS,
	      "BENCH_PLANS");

static const char usage[] =
	"usage: bench [-j] [-r ROUNDS] [-b BATCHES]\n"
	"Wires between two spinning processes on two processors, against TCP "
	"over loopback.\n"
	"  -r ROUNDS   alternations of wire and TCP, 1 to 100 (10)\n"
	"  -b BATCHES  timed batches of each measurement in a round, 1 to "
	"1000 (40)\n"
	"  -j          JSON\n"
	"Exits with 1 if data was wrong, whatever the figures.\n";

static void shortest(struct bench_time *t, const struct bench_time *u)
{
	if (u->best < t->best)
		t->best = u->best;
	if (u->median < t->median)
		t->median = u->median;
}

/* Each figure's least over all rounds */
static struct bench_round least(const struct bench_round *rounds,
				unsigned int n)
{
	struct bench_round all = rounds[0];

	for (unsigned int i = 1; i < n; i++) {
		shortest(&all.line, &rounds[i].line);
		shortest(&all.bare, &rounds[i].bare);
		for (int k = 0; k < BENCH_PLANS * BENCH_WAYS; k++)
			shortest(&all.time[k / BENCH_WAYS][k % BENCH_WAYS],
				 &rounds[i].time[k / BENCH_WAYS]
						[k % BENCH_WAYS]);
	}
	return all;
}

static void put_target(struct out *o, double target, bool met)
{
	if (!target) {
		out_text(o, "\n");
		return;
	}
	out_f64(o, "target", "  %g", target);
	out_str(o, "verdict", " %s\n", met ? "met" : "missed");
}

static void put_plan(struct out *o, const struct bench_plan *plan,
		     struct bench_time wire, struct bench_time tcp)
{
	out_begin(o, NULL, '{');
	out_str(o, "test", "%-31s", plan->name);
	out_u64(o, "size", NULL, plan->size);
	out_f64(o, "wire_ns", "%8.0f", wire.best);
	out_f64(o, "tcp_ns", "%8.0f", tcp.best);
	out_f64(o, "ratio", "%7.1f", tcp.best / wire.best);
	out_f64(o, "wire_median_ns", "%10.0f", wire.median);
	out_f64(o, "tcp_median_ns", "%8.0f", tcp.median);
	out_f64(o, "ratio_median", "%7.1f", tcp.median / wire.median);
	put_target(o, plan->target, tcp.best / wire.best >= plan->target);
	out_end(o, '}');
}

static void put_line(struct out *o, double wire, double line, double bare)
{
	out_begin(o, "cache_line", '{');
	out_f64(o, "ns", "cache line there and back: %.0f ns; ", line);
	out_f64(o, "ratio", "a round trip of 64 B takes %.2f of it; at most",
		wire / line);
	put_target(o, LINE_TARGET, wire / line <= LINE_TARGET);
	out_end(o, '}');
	out_begin(o, "bare", '{');
	out_f64(o, "ns", "64 B and a position, without a library: %.0f ns; ",
		bare);
	out_f64(o, "ratio", "the library's round trip takes %.2f of it\n",
		wire / bare);
	out_end(o, '}');
}

static void put_steps(struct out *o, uint64_t sends, uint64_t recvs)
{
	out_begin(o, "instructions", '{');
	out_u64(o, "send", "instructions, 64 B: send() %llu, ", sends);
	out_u64(o, "recv", "recv() %llu, ", recvs);
	out_u64(o, "sum", "together %llu; at most", sends + recvs);
	put_target(o, STEPS_TARGET, sends + recvs <= STEPS_TARGET);
	out_end(o, '}');
}

static unsigned int number(const char *s, unsigned long most)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (!*s || *end || n < 1 || n > most) {
		fprintf(stderr, "bench: bad number '%s'\n", s);
		exit(2);
	}
	return (unsigned int)n;
}

int main(int argc, char **argv)
{
	struct bench_round rounds[BENCH_ROUNDS_MAX], all;
	struct out o = { .file = stdout, .pretty = true };
	unsigned int n = 10, batches = 40;
	uint64_t sends, recvs;
	int opt;

	while ((opt = getopt(argc, argv, "jr:b:h")) >= 0) {
		if (opt == 'j')
			o.json = true;
		else if (opt == 'r')
			n = number(optarg, BENCH_ROUNDS_MAX);
		else if (opt == 'b')
			batches = number(optarg, BENCH_BATCHES_MAX);
		else
			return fputs(usage, opt == 'h' ? stdout : stderr),
			       opt == 'h' ? 0 : 2;
	}
	if (optind != argc)
		return fputs(usage, stderr), 2;
	if (!twin_make(RING_SHIFT, RING_MAX_SHIFT, 0)) {
		perror("bench: memory");
		return EXIT_FAILURE;
	}
	if (!bench_steps(STEPS_SIZE, &sends, &recvs) ||
	    !bench_measure(rounds, n, batches))
		return EXIT_FAILURE;
	all = least(rounds, n);

	out_begin(&o, NULL, '{');
	out_text(&o,
		 "nanoseconds a message%10s%-17s%11s%-17s\n"
		 "%-31s%8s%8s%7s%10s%8s%7s  at least\n",
		 "", "   the best batch", "", "the best median", "", "wire",
		 "TCP", "times", "wire", "TCP", "times");
	out_begin(&o, "tests", '[');
	for (int i = 0; i < BENCH_PLANS; i++)
		put_plan(&o, &bench_plans[i], all.time[i][BENCH_WIRE],
			 all.time[i][BENCH_TCP]);
	out_end(&o, ']');
	put_line(&o, all.time[0][BENCH_WIRE].best, all.line.best,
		 all.bare.best);
	put_steps(&o, sends, recvs);
	out_end(&o, '}');
	return out_finish(&o) ? EXIT_SUCCESS : EXIT_FAILURE;
}
