// SPDX-License-Identifier: GPL-2.0
/*
 * Round trips and streams between two processes, over plain TCP sockets and
 * over leased ones. Each round runs both kinds, in alternating order, so that
 * a change of the machine's mood hits both alike.
 */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "out.h"
#include "reason.h"

#define SIZES_MAX      16
#define TOPOLOGIES_MAX 8
#define COUNT_MAX      (1ull << 24)

struct options {
	enum bench_test test;
	bool modes[BENCH_MODES];
	bool spin;
	bool icount;
	bool json;
	unsigned int rounds;
	unsigned int limit_s;
	double min_share;
	uint64_t count;
	uint64_t warmup;
	uint32_t sizes[SIZES_MAX];
	unsigned int nsizes;
	struct bench_topology topologies[TOPOLOGIES_MAX];
	unsigned int ntopologies;
};

struct result {
	double min;
	double p50;
	double mean;
	double user_share;
};

static const char *const test_names[] = { "rtt", "stream", "lease" };
static const char *const mode_names[] = { "plain", "unleased", "leased" };

static const char usage[] =
	"usage: onload-bench rtt|stream|lease [OPTION...]\n"
	"Measure round trips, or one-way streams, over plain and leased "
	"sockets;\n"
	"or what it costs to lease an idle connection and to give it back.\n"
	"  -s SIZE[,SIZE...]  bytes of a message (64)\n"
	"  -n COUNT           messages of each kind and size (10000)\n"
	"  -w COUNT           unmeasured round trips before each round (500)\n"
	"  -r ROUNDS          alternations of plain and leased (4)\n"
	"  -t SEC             time limit of a round (120)\n"
	"  -m PERCENT         fail if fewer bytes move at user level (90)\n"
	"  -j, --json         results as JSON\n"
	"  --plain, --leased, --both\n"
	"                     which kinds (both)\n"
	"  --unleased         plain sockets and ours without the library\n"
	"  --veth             between two new namespaces (the default)\n"
	"  --lo               over the loopback device of this namespace\n"
	"  --netns A,B        between two namespaces which are joined already\n"
	"  --spin             poll for data instead of blocking\n"
	"  --icount           nanoseconds are instructions: QEMU -icount "
	"shift=0\n"
	"--veth, --lo and --netns add up.\n";

static void bad(const char *what, const char *value)
{
	fprintf(stderr, "onload-bench: bad %s '%s'\n", what, value);
	exit(2);
}

static uint64_t number(const char *what, const char *s, uint64_t low,
		       uint64_t high)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno || end == s || *end || *s == '-' || n < low || n > high)
		bad(what, s);
	return n;
}

static void add_sizes(struct options *o, char *list)
{
	o->nsizes = 0;
	for (char *s = strtok(list, ","); s; s = strtok(NULL, ",")) {
		if (o->nsizes == SIZES_MAX)
			bad("number of sizes at", s);
		o->sizes[o->nsizes++] = number("size", s, 1, BENCH_SIZE_MAX);
	}
	if (!o->nsizes)
		bad("sizes", "");
}

static struct bench_topology *add_topology(struct options *o, const char *name)
{
	struct bench_topology *t = &o->topologies[o->ntopologies++];

	if (o->ntopologies > TOPOLOGIES_MAX)
		bad("number of topologies at", name);
	t->name = name;
	return t;
}

static void add_netns(struct options *o, char *names)
{
	struct bench_topology *t = add_topology(o, strdup(names));
	char *comma = strchr(names, ',');

	if (!comma || comma == names || !comma[1] || !t->name)
		bad("namespaces", names);
	*comma = '\0';
	t->netns[BENCH_SERVER] = names;
	t->netns[BENCH_CLIENT] = comma + 1;
}

static void parse(struct options *o, int argc, char **argv)
{
	enum {
		SPIN = 256,
		PLAIN,
		LEASED,
		BOTH,
		UNLEASED,
		VETH,
		LO,
		NETNS,
		ICOUNT
	};
	static const struct option options[] = {
		{ "spin", no_argument, NULL, SPIN },
		{ "plain", no_argument, NULL, PLAIN },
		{ "leased", no_argument, NULL, LEASED },
		{ "both", no_argument, NULL, BOTH },
		{ "unleased", no_argument, NULL, UNLEASED },
		{ "veth", no_argument, NULL, VETH },
		{ "lo", no_argument, NULL, LO },
		{ "netns", required_argument, NULL, NETNS },
		{ "icount", no_argument, NULL, ICOUNT },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "s:n:w:r:t:m:jh", options,
				  NULL)) != -1) {
		switch (opt) {
		case 's':
			add_sizes(o, optarg);
			break;
		case 'n':
			o->count = number("count", optarg, 1, COUNT_MAX);
			break;
		case 'w':
			o->warmup = number("warm-up", optarg, 1, COUNT_MAX);
			break;
		case 'r':
			o->rounds = number("rounds", optarg, 1, 10000);
			break;
		case 't':
			o->limit_s = number("time limit", optarg, 1, 86400);
			break;
		case 'm':
			o->min_share = number("share", optarg, 0, 100) / 100.0;
			break;
		case 'j':
			o->json = true;
			break;
		case SPIN:
			o->spin = true;
			break;
		case PLAIN:
		case LEASED:
		case BOTH:
		case UNLEASED:
			o->modes[BENCH_PLAIN] = opt != LEASED;
			o->modes[BENCH_UNLEASED] = opt == UNLEASED;
			o->modes[BENCH_LEASED] = opt == LEASED || opt == BOTH;
			break;
		case VETH:
			add_topology(o, "veth");
			break;
		case LO:
			add_topology(o, "lo")->loopback = true;
			break;
		case NETNS:
			add_netns(o, optarg);
			break;
		case ICOUNT:
			o->icount = true;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	if (optind != argc - 1) {
		fputs(usage, stderr);
		exit(2);
	}
	while (strcmp(argv[optind], test_names[o->test]))
		if (++o->test > BENCH_LEASE)
			bad("test", argv[optind]);
	if (o->test == BENCH_LEASE) {
		memset(o->modes, false, sizeof(o->modes));
		o->modes[BENCH_UNLEASED] = true;
	}
	if (!o->ntopologies)
		add_topology(o, "veth");
	if (o->count < o->rounds)
		o->rounds = o->count;
}

static double share(const struct bench_job *job)
{
	uint64_t user = 0, all = 0;

	for (int i = 0; i < BENCH_SIDES; i++) {
		user += job->info[i].rx_user + job->info[i].tx_user;
		all += job->info[i].rx_all + job->info[i].tx_all;
	}
	return all ? (double)user / all : 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Samples of all rounds of one kind */
struct samples {
	uint64_t *ns;
	size_t n;
	uint64_t total_ns;
	uint64_t count;
	double user_share; /* sum over the rounds */
	unsigned int rounds;
};

static void add_round(struct samples *s, const struct bench_job *job)
{
	if (job->test != BENCH_STREAM) {
		memcpy(s->ns + s->n, job->ns, job->count * sizeof(*s->ns));
		s->n += job->count;
	} else {
		/* A message on its own has no time: one sample a round. */
		s->ns[s->n++] = job->total_ns / job->count;
	}
	s->total_ns += job->total_ns;
	s->count += job->count;
	s->user_share += share(job);
	s->rounds++;
}

static struct result summarize(struct samples *s)
{
	qsort(s->ns, s->n, sizeof(*s->ns), by_value);
	return (struct result){
		.min = s->ns[0],
		.p50 = s->ns[s->n / 2],
		.mean = (double)s->total_ns / s->count,
		.user_share = s->user_share / s->rounds,
	};
}

static bool check_share(const struct options *o, const struct bench_job *job)
{
	if (share(job) >= o->min_share)
		return true;
	fprintf(stderr,
		"onload-bench: only %.1f %% of the bytes moved at user level, "
		"less than %.0f %% (-m)\n",
		100 * share(job), 100 * o->min_share);
	for (int i = 0; i < BENCH_SIDES; i++) {
		const struct onload_info *info = &job->info[i];

		fprintf(stderr,
			"onload-bench: %s: leases %llu, reclaims %llu, "
			"refusals %llu, last reason %s\n",
			i == BENCH_SERVER ? "server" : "client", info->leases,
			info->reclaims, info->refusals,
			reason_word(info->reason));
	}
	return false;
}

static bool run_round(const struct options *o, const struct bench_topology *t,
		      uint32_t size, enum bench_mode mode, struct samples *s)
{
	int fd;
	struct bench_job *job = bench_job_new(o->count / o->rounds, &fd);
	bool good;

	job->test = o->test;
	job->mode = mode;
	job->spin = o->spin;
	job->loopback = t->loopback;
	job->size = size;
	job->warmup = o->warmup;
	good = bench_run(t, job, fd, o->limit_s);
	if (good && mode == BENCH_LEASED)
		good = check_share(o, job);
	if (good)
		add_round(s, job);
	bench_job_free(job, fd);
	return good && !bench_interrupted();
}

static bool measure(const struct options *o, const struct bench_topology *t,
		    uint32_t size, struct result results[BENCH_MODES])
{
	struct samples samples[BENCH_MODES] = {};
	bool good = true;

	for (int m = 0; m < BENCH_MODES; m++) {
		samples[m].ns = calloc(o->count, sizeof(*samples[m].ns));
		if (!samples[m].ns)
			good = false;
	}
	for (unsigned int r = 0; good && r < o->rounds; r++) {
		for (unsigned int i = 0; good && i < BENCH_MODES; i++) {
			/* Every second round the other way about */
			enum bench_mode m = r % 2 ? BENCH_MODES - 1 - i : i;

			if (o->modes[m])
				good = run_round(o, t, size, m, &samples[m]);
		}
	}
	for (int m = 0; m < BENCH_MODES; m++) {
		if (good && o->modes[m])
			results[m] = summarize(&samples[m]);
		free(samples[m].ns);
	}
	return good;
}

/* What is set against plain sockets; BENCH_PLAIN if nothing is */
static enum bench_mode compared(const struct options *o)
{
	if (!o->modes[BENCH_PLAIN])
		return BENCH_PLAIN;
	if (o->modes[BENCH_UNLEASED])
		return BENCH_UNLEASED;
	return o->modes[BENCH_LEASED] ? BENCH_LEASED : BENCH_PLAIN;
}

static void print_head(struct out *out, const struct options *o)
{
	const char *unit = o->icount ? "instructions" : "ns";

	out_begin(out, NULL, '{');
	out_str(out, "test", "%s", test_names[o->test]);
	out_str(out, "wait", ", %s", o->spin ? "spinning" : "blocking");
	out_str(out, "unit",
		o->test == BENCH_LEASE ? ", %s of a lease and its return"
				       : ", %s of a message",
		unit);
	out_u64(out, "count", ", %llu of them", o->count);
	out_u64(out, "rounds", " in %llu rounds", o->rounds);
	out_text(out, "\n%-10s %7s", "", "");
	for (int m = 0; m < BENCH_MODES; m++)
		if (o->modes[m])
			out_text(out, "  %32s", mode_names[m]);
	out_text(out, "\n%-10s %7s", "topology", "bytes");
	for (int m = 0; m < BENCH_MODES; m++)
		if (o->modes[m])
			out_text(out, "  %10s %10s %10s", "min", "p50", "mean");
	if (o->modes[BENCH_LEASED])
		out_text(out, "  %10s", "user level");
	if (compared(o))
		out_text(out, "  plain/%s", mode_names[compared(o)]);
	out_text(out, "\n");
	out_begin(out, "results", '[');
	fflush(out->file);
}

static void print_result(struct out *out, const struct options *o,
			 const struct bench_topology *t, uint32_t size,
			 const struct result r[BENCH_MODES])
{
	out_begin(out, NULL, '{');
	out_str(out, "topology", "%-10s", t->name);
	out_u64(out, "size", " %7llu", size);
	for (int m = 0; m < BENCH_MODES; m++) {
		if (!o->modes[m])
			continue;
		out_begin(out, mode_names[m], '{');
		out_f64(out, "min", "  %10.0f", r[m].min);
		out_f64(out, "p50", " %10.0f", r[m].p50);
		out_f64(out, "mean", " %10.0f", r[m].mean);
		if (!o->icount && o->test != BENCH_LEASE)
			out_f64(out, "mbytes_per_s", NULL,
				1000 * size / r[m].mean);
		out_end(out, '}');
	}
	if (o->modes[BENCH_LEASED])
		out_f64(out, "user_share", "  %10.4f",
			r[BENCH_LEASED].user_share);
	if (compared(o))
		out_f64(out, "ratio", "  %12.3f",
			r[BENCH_PLAIN].mean / r[compared(o)].mean);
	out_end(out, '}');
	out_text(out, "\n");
	fflush(out->file);
}

int main(int argc, char **argv)
{
	struct options o = {
		.modes = { true, true },
		.rounds = 4,
		.limit_s = 120,
		.min_share = 0.9,
		.count = 10000,
		.warmup = 500,
		.sizes = { 64 },
		.nsizes = 1,
	};
	struct out out = { .file = stdout };
	bool good = true;

	if (argc > 1 && !strcmp(argv[1], BENCH_PEER))
		return bench_peer(argv + 2);
	parse(&o, argc, argv);
	bench_catch_signals();
	out.json = o.json;

	print_head(&out, &o);
	for (unsigned int i = 0; good && i < o.ntopologies; i++) {
		struct bench_topology *t = &o.topologies[i];

		bench_topology_make(t);
		for (unsigned int j = 0; good && j < o.nsizes; j++) {
			struct result results[BENCH_MODES];

			good = measure(&o, t, o.sizes[j], results);
			if (good)
				print_result(&out, &o, t, o.sizes[j], results);
		}
		bench_topology_remove(t);
	}
	out_end(&out, ']');
	out_end(&out, '}');
	good &= out_finish(&out);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
