/* rawlimit - the least a server can do to send MJPEG frames to many clients.
 *
 *   rawlimit -p PORT -D FRAMEDIR [-f FPS] [-m writev|sendfile|splice|zerocopy]
 *            [-S SNDBUF] [-L NOTSENT_LOWAT] [-Q BYTES: begin a frame only when no more than
 *            these are unacknowledged (SIOCOUTQ); else that client waits for the next frame]
 *
 * One thread, one epoll, no camera: a timerfd makes a "frame" each 1/FPS s: a
 * file of FRAMEDIR with the same COM stamp as fakecam's. Every client that is
 * idle gets the newest frame; a client still busy gets the newest one when it
 * is done (latest-frame policy, nothing is queued). Payload is never copied in
 * user space:
 *   writev    part head and stamp | the mapped file | boundary
 *   sendfile  the whole part is written once into a new memfd per frame, then
 *             one sendfile per client; pages are freed by the last socket
 *   splice    as sendfile, but splice() memfd -> pipe -> socket
 *   zerocopy  as writev with MSG_ZEROCOPY (loopback copies at receive anyway)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

typedef struct { uint8_t *p; size_t n; } blob;
typedef struct frame { int refs; uint32_t seq; uint8_t head[256]; size_t hl; blob b; int fd; size_t total; struct frame *nextfree; } frame;
typedef struct { int fd, st, want; frame *f; size_t off; uint32_t sent; char req[2048]; int rl; int pipe[2]; size_t inpipe; int idx; } client;
enum { WRITEV, SENDFILE, SPLICE, ZEROCOPY };
static const char TAIL[] = "\r\n--mjb\r\n";
#define TL (sizeof TAIL - 1)
static int mode, port = 8090, sndbuf, lowat, outq = -1; static double fps = 60; static const char *dir = "frames";
static blob files[512]; static int nf, ep, lfd; static frame *cur; static client **cl; static int ncl, ccap;
static frame *freel;
static void put(frame *f) { if (f && !--f->refs) { if (f->fd >= 0) close(f->fd); f->nextfree = freel; freel = f; } }
static uint64_t now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return (uint64_t)t.tv_sec * 1000000000ull + t.tv_nsec; }
static void arm(client *c, int w) {
	if (c->want == w) return;
	c->want = w; struct epoll_event e = {.events = EPOLLIN | (w ? EPOLLOUT : 0), .data.ptr = c}; epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &e);
}
static void drop(client *c) {
	close(c->fd); c->fd = -1; put(c->f); c->f = NULL; if (c->pipe[0] > 0) { close(c->pipe[0]); close(c->pipe[1]); }
	cl[c->idx] = cl[--ncl]; cl[c->idx]->idx = c->idx; free(c);
}
static ssize_t step(client *c) {
	frame *f = c->f; size_t off = c->off;
	if (mode == SENDFILE) { off_t o = off; return sendfile(c->fd, f->fd, &o, f->total - off); }
	if (mode == SPLICE) {
		if (!c->inpipe) { loff_t o = off; ssize_t r = splice(f->fd, &o, c->pipe[1], NULL, f->total - off, SPLICE_F_NONBLOCK); if (r < 0) return r; c->inpipe = r; }
		ssize_t r = splice(c->pipe[0], NULL, c->fd, NULL, c->inpipe, SPLICE_F_NONBLOCK | SPLICE_F_MOVE | (off + c->inpipe < f->total ? SPLICE_F_MORE : 0));
		if (r > 0) c->inpipe -= r;
		return r;
	}
	struct iovec v[3] = {{f->head, f->hl}, {f->b.p + 2, f->b.n - 2}, {(void *)TAIL, TL}}; int i = 0;
	while (off >= v[i].iov_len) { off -= v[i].iov_len; i++; }
	v[i].iov_base = (char *)v[i].iov_base + off; v[i].iov_len -= off;
	struct msghdr m = {.msg_iov = v + i, .msg_iovlen = 3 - i};
	return sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL | (mode == ZEROCOPY ? MSG_ZEROCOPY : 0));
}
static int pump(client *c) {
	for (;;) {
		if (!c->f) {
			if (!cur || c->sent == cur->seq) { arm(c, 0); return 0; }
			int q;
			if (outq >= 0 && !ioctl(c->fd, SIOCOUTQ, &q) && q > outq) { c->sent = cur->seq; continue; }
			c->f = cur; cur->refs++; c->off = 0; c->sent = cur->seq;
		}
		ssize_t r = step(c);
		if (r < 0) { if (errno == EAGAIN || errno == ENOBUFS) { arm(c, 1); return 0; } return -1; }
		c->off += r;
		if (c->off == c->f->total) { put(c->f); c->f = NULL; }
	}
}
static void new_frame(void) {
	static uint32_t seq; frame *f = freel; if (f) freel = f->nextfree; else f = calloc(1, sizeof *f);
	f->refs = 1; f->seq = ++seq; f->b = files[seq % nf]; f->fd = -1;
	char st[37]; size_t jl = f->b.n + 40;
	f->hl = snprintf((char *)f->head, 200, "Content-Type: image/jpeg\r\nContent-Length: %zu\r\n\r\n", jl);
	uint8_t *p = f->head + f->hl; memcpy(p, "\xFF\xD8\xFF\xFE\x00\x26", 6);
	snprintf(st, sizeof st, "T=%020llu N=%010u ", (unsigned long long)now(), seq); memcpy(p + 6, st, 36);
	f->hl += 42; f->total = f->hl + f->b.n - 2 + TL;
	if (mode == SENDFILE || mode == SPLICE) {
		f->fd = memfd_create("f", MFD_CLOEXEC); struct iovec v[3] = {{f->head, f->hl}, {f->b.p + 2, f->b.n - 2}, {(void *)TAIL, TL}};
		if (writev(f->fd, v, 3) != (ssize_t)f->total) { perror("memfd"); exit(1); }
	}
	put(cur); cur = f;
	for (int i = ncl - 1; i >= 0; i--) { client *c = cl[i]; if (c->st && !c->f && pump(c) < 0) drop(c); }
}
static volatile sig_atomic_t quit; static void onsig(int s) { (void)s; quit = 1; }
int main(int argc, char **argv) {
	int o; while ((o = getopt(argc, argv, "p:D:f:m:S:L:Q:")) != -1) switch (o) {
	case 'p': port = atoi(optarg); break; case 'D': dir = optarg; break; case 'f': fps = atof(optarg); break; case 'S': sndbuf = atoi(optarg); break; case 'L': lowat = atoi(optarg); break; case 'Q': outq = atoi(optarg); break;
	case 'm': mode = !strcmp(optarg, "sendfile") ? SENDFILE : !strcmp(optarg, "splice") ? SPLICE : !strcmp(optarg, "zerocopy") ? ZEROCOPY : WRITEV; break; default: return 2; }
	signal(SIGPIPE, SIG_IGN); signal(SIGTERM, onsig); signal(SIGINT, onsig);
	struct rlimit rl; getrlimit(RLIMIT_NOFILE, &rl); rl.rlim_cur = rl.rlim_max; setrlimit(RLIMIT_NOFILE, &rl);
	DIR *d = opendir(dir); struct dirent *e; char names[512][64]; int nn = 0;
	if (!d) { perror(dir); return 1; }
	while ((e = readdir(d)) && nn < 512) if (strstr(e->d_name, ".jpg")) snprintf(names[nn++], 64, "%.60s", e->d_name);
	qsort(names, nn, 64, (int (*)(const void *, const void *))strcmp);
	for (int i = 0; i < nn; i++) { char p[4200]; snprintf(p, sizeof p, "%.4000s/%.63s", dir, names[i]); int fd = open(p, O_RDONLY); struct stat s; fstat(fd, &s);
		files[nf].n = s.st_size; files[nf++].p = mmap(NULL, s.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0); close(fd); }
	if (!nf) { fprintf(stderr, "no frames\n"); return 1; }
	lfd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0); int one = 1; setsockopt(lfd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	if (bind(lfd, (void *)&sa, sizeof sa) || listen(lfd, 4096)) { perror("bind"); return 1; }
	ep = epoll_create1(0); struct epoll_event le = {.events = EPOLLIN, .data.ptr = &lfd}; epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &le);
	int tf = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK); long ns = 1e9 / fps; struct itimerspec its = {{ns / 1000000000, ns % 1000000000}, {0, 1000000}};
	timerfd_settime(tf, 0, &its, NULL); struct epoll_event te = {.events = EPOLLIN, .data.ptr = &tf}; epoll_ctl(ep, EPOLL_CTL_ADD, tf, &te);
	struct epoll_event ev[512];
	while (!quit) {
		int n = epoll_wait(ep, ev, 512, 1000);
		int tick = 0;
		for (int i = 0; i < n; i++) if (ev[i].data.ptr == &tf) { uint64_t x; tick = read(tf, &x, 8) == 8; }
		/* a new frame first; it may drop clients, so the rest of the batch (level-triggered) waits */
		if (tick) { new_frame(); continue; }
		for (int i = 0; i < n; i++) {
			if (ev[i].data.ptr == &tf) continue;
			if (ev[i].data.ptr == &lfd) {
				int fd; while ((fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
					client *c = calloc(1, sizeof *c); c->fd = fd; setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
					if (sndbuf) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &sndbuf, sizeof sndbuf);
					if (lowat) setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof lowat);
					if (mode == ZEROCOPY) setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one);
					if (mode == SPLICE) { if (pipe2(c->pipe, O_NONBLOCK)) { perror("pipe"); exit(1); } fcntl(c->pipe[0], F_SETPIPE_SZ, 512 * 1024); }
					if (ncl == ccap) { ccap = ccap ? ccap * 2 : 64; cl = realloc(cl, ccap * sizeof *cl); }
					c->idx = ncl; cl[ncl++] = c;
					struct epoll_event ce = {.events = EPOLLIN, .data.ptr = c}; epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ce);
				}
				continue;
			}
			client *c = ev[i].data.ptr; int bad = 0;
			if (mode == ZEROCOPY && (ev[i].events & EPOLLERR)) { char cb[512]; struct msghdr m = {.msg_control = cb, .msg_controllen = sizeof cb}; int got = 0;
				while (recvmsg(c->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) { got = 1; m.msg_controllen = sizeof cb; } if (!got) bad = 1; else ev[i].events &= ~(EPOLLERR); }
			if (ev[i].events & EPOLLIN) {
				char *b = c->st ? (char[512]){0} : c->req + c->rl; ssize_t r = recv(c->fd, b, c->st ? 512 : sizeof c->req - 1 - c->rl, 0);
				if (r == 0 || (r < 0 && errno != EAGAIN)) bad = 1;
				else if (!c->st && r > 0) { c->rl += r; c->req[c->rl] = 0; if (strstr(c->req, "\r\n\r\n")) {
					static const char H[] = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: multipart/x-mixed-replace; boundary=mjb\r\n\r\n--mjb\r\n";
					bad = send(c->fd, H, sizeof H - 1, MSG_NOSIGNAL) < 0; c->st = 1;
					if (!bad && pump(c) < 0) bad = 1; } }
			}
			if (!bad && (ev[i].events & (EPOLLERR | EPOLLHUP))) bad = 1;
			if (!bad && (ev[i].events & EPOLLOUT) && c->st && pump(c) < 0) bad = 1;
			if (bad) drop(c);
		}
	}
	return 0;
}
