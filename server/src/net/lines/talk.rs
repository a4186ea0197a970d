//! What is said on one line, and what is answered.

use super::{Line, Spare};
use crate::cluster::bus::Purpose;
use crate::command::forward::{Answer, Came, is_refusal};
use crate::command::shared::Shared;
use crate::repl::spell::push_command;
use larder_client::resp::{Limits, Scan};
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

/// How long it may take to reach a node, and to be let in.
const OPEN_MAX: Duration = Duration::from_secs(1);

/// How often it is looked whether an answer is still wanted, and may still come.
const LOOK: Duration = Duration::from_millis(100);

/// How long a node may be silent that is a primary no longer, though it was asked as one.
const DEPOSED_MAX: Duration = Duration::from_millis(500);

/// How long a line is kept that nobody owns.
const SPARE_TIME: Duration = Duration::from_secs(30);

/// Bytes that are gathered before they are sent, and read at a time.
const GATHERED_BYTES: usize = 256 * 1024;
const READ_BYTES: usize = 64 * 1024;

pub struct Talk {
    stream: TcpStream,
    out: Vec<u8>,
    /// Bytes of `out` that are sent.
    sent: usize,
    /// Bytes that went through `out` before those in it.
    sent_before: u64,
    unanswered: VecDeque<Unanswered>,
    input: Vec<u8>,
    scan: Scan,
    /// When something was answered last, or asked while nothing was unanswered.
    heard: Instant,
}

/// A request whose answer is still to come.
struct Unanswered {
    /// Where it begins among all bytes that are said.
    from: u64,
    /// Replies that are still to come.
    replies: usize,
    /// One of those before the last that says that nothing is done.
    refusal: Option<Vec<u8>>,
    answer: Option<Arc<Answer>>,
    /// Whether the line is free behind it.
    is_last: bool,
}

impl Talk {
    /// Reaches the node of a line, and is let in.
    ///
    /// # Errors
    ///
    /// In words for whoever wants something of it.
    pub async fn open(line: &Line, node: &Shared) -> Result<Talk, String> {
        let opening = tokio::time::timeout(OPEN_MAX, Talk::open_slowly(line, node));
        opening.await.unwrap_or_else(|_| Err("it does not answer".to_owned()))
    }

    async fn open_slowly(line: &Line, node: &Shared) -> Result<Talk, String> {
        let view = node.cluster.view();
        let known = view.topology.node(line.to).ok_or("the cluster knows it no longer")?;
        let address = &known.facts.address;
        let connecting = TcpStream::connect((address.host.as_str(), address.port)).await;
        let stream = connecting.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        let (out, input, unanswered) = Default::default();
        let (scan, heard) = (Scan::new(Limits::DEFAULT), Instant::now());
        let mut talk = Talk { stream, out, sent: 0, sent_before: 0, unanswered, input, scan, heard };
        let proof = node.cluster.proof(Purpose::Forward, line.to, known.facts.incarnation);
        let proof = proof.ok_or("there is no proof to show")?;
        let said = talk.introduce(line, node, &view.me.to_string(), &proof);
        talk.flush().map_err(|error| error.to_string())?;
        for _ in 0..said {
            let reply = talk.next_reply().await?;
            if let Some(error) = reply.strip_prefix(b"-") {
                return Err(format!("it refuses: {}", String::from_utf8_lossy(error).trim_end()));
            }
        }
        Ok(talk)
    }

    /// Says who it is, and in which manner it wants to speak. Returns how many replies come to that.
    fn introduce(&mut self, line: &Line, node: &Shared, me: &str, proof: &str) -> usize {
        let password = node.password();
        let mut said = 0;
        let mut say = |words: &[&[u8]]| {
            push_command(&mut self.out, words.iter().copied());
            said += 1;
        };
        if let Some(password) = &password {
            say(&[b"AUTH", password]);
        }
        if line.manner.protocol == 3 {
            say(&[b"HELLO", b"3"]);
        }
        say(&[b"CLUSTER", b"FORWARD", me.as_bytes(), proof.as_bytes()]);
        if let Some(durability) = line.manner.durability_name() {
            say(&[b"CLIENT", b"DURABILITY", durability.as_bytes()]);
        }
        if line.manner.is_quiet {
            say(&[b"CLIENT", b"NO-TOUCH", b"ON"]);
        }
        said
    }

    /// Says what is in the queue and gives the answers to who has asked, until the line breaks. Returns why it did.
    pub async fn go_on(&mut self, line: &Rc<Line>, spare: &Spare, node: &Shared) -> String {
        let mut idle_since = Instant::now();
        loop {
            self.take_requests(line);
            if let Err(error) = self.flush() {
                return error.to_string();
            }
            if !self.unanswered.is_empty() || !line.is_lone {
                idle_since = Instant::now();
            }
            let has_more = !self.out.is_empty();
            tokio::select! {
                () = line.bell.notified() => {}
                Ok(()) = self.stream.writable(), if has_more => {}
                ready = self.stream.readable() => {
                    let received = ready.and_then(|()| self.receive());
                    match received.map_err(|error| error.to_string()).and_then(|()| self.hand_out(line, spare)) {
                        Ok(()) => {}
                        Err(why) => return why,
                    }
                }
                () = tokio::time::sleep(LOOK) => {
                    if let Some(why) = self.look(line, node) {
                        return why;
                    }
                    if idle_since.elapsed() > SPARE_TIME {
                        return "nobody needs it".to_owned();
                    }
                }
            }
        }
    }

    fn take_requests(&mut self, line: &Line) {
        let mut queue = line.queue.borrow_mut();
        while self.out.len() < GATHERED_BYTES
            && let Some(request) = queue.pop_front()
        {
            if self.unanswered.is_empty() {
                self.heard = Instant::now();
            }
            line.queued.set(line.queued.get() - request.request.len());
            let from = self.sent_before + self.out.len() as u64;
            self.out.extend_from_slice(&request.request);
            self.unanswered.push_back(Unanswered {
                from,
                replies: request.commands,
                refusal: None,
                answer: request.answer,
                is_last: request.is_last,
            });
        }
    }

    /// Sends as much as the peer takes at the moment.
    fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() {
            match self.stream.try_write(&self.out[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if self.sent == self.out.len() {
            self.sent_before += self.sent as u64;
            (self.out, self.sent) = (Vec::new(), 0);
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<()> {
        loop {
            self.input.reserve(READ_BYTES);
            match self.stream.try_read_buf(&mut self.input) {
                Ok(0) => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has hung up")),
                Ok(read) if read == READ_BYTES => {}
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// The next reply. Only for the beginning, where each is waited for.
    async fn next_reply(&mut self) -> Result<Vec<u8>, String> {
        loop {
            if let Some(len) = self.scan.advance(&self.input).map_err(|error| error.to_string())? {
                return Ok(self.input.drain(..len).collect());
            }
            self.stream.readable().await.map_err(|error| error.to_string())?;
            self.receive().map_err(|error| error.to_string())?;
        }
    }

    /// Gives the replies that have come to who has asked.
    fn hand_out(&mut self, line: &Rc<Line>, spare: &Spare) -> Result<(), String> {
        let mut used = 0;
        while let Some(len) = self.scan.advance(&self.input[used..]).map_err(|error| error.to_string())? {
            let reply = &self.input[used..used + len];
            used += len;
            if reply.starts_with(b">") {
                continue;
            }
            self.heard = Instant::now();
            let Some(front) = self.unanswered.front_mut() else {
                return Err("it answers what was not asked".to_owned());
            };
            front.replies -= 1;
            if front.replies > 0 {
                if front.refusal.is_none() && is_refusal(reply) {
                    front.refusal = Some(reply.to_vec());
                }
                continue;
            }
            let came = match front.refusal.take() {
                Some(refusal) => Came::Nothing(refusal),
                None if is_refusal(reply) => Came::Nothing(reply.to_vec()),
                None => Came::Reply(reply.to_vec()),
            };
            let Some(answered) = self.unanswered.pop_front() else { break };
            if let Some(answer) = &answered.answer {
                answer.leave(came);
            }
            if answered.is_last {
                line.spare(spare);
            }
        }
        self.input.drain(..used);
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        Ok(())
    }

    /// Whether there is a reason to break the line off, and which.
    fn look(&self, line: &Line, node: &Shared) -> Option<String> {
        let front = self.unanswered.front()?;
        let silent = self.heard.elapsed();
        if line.is_lone && front.answer.as_ref().is_some_and(|answer| answer.is_given_up()) {
            return Some("its client has gone".to_owned());
        }
        let view = node.cluster.view();
        let known = view.topology.node(line.to);
        let is_deposed = known.is_none_or(|it| it.shard.is_some()) && !view.topology.is_primary(line.to);
        if is_deposed && silent > DEPOSED_MAX {
            return Some("it is not the primary of its shard any longer".to_owned());
        }
        let silent_max = Duration::from_millis(node.cluster.forward_timeout_ms());
        (!line.is_lone && silent > silent_max)
            .then(|| format!("it has been silent for {silent_max:?} (forward-timeout)"))
    }

    /// Says of each request that is unanswered whether it can have been run.
    pub fn end(&mut self) {
        let sent = self.sent_before + self.sent as u64;
        for unanswered in self.unanswered.drain(..) {
            if let Some(answer) = &unanswered.answer {
                answer.leave(if unanswered.from < sent { Came::Lost } else { Came::Nothing(Vec::new()) });
            }
        }
    }
}
