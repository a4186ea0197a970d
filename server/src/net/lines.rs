//! Lines to the other nodes of the cluster, on which a worker asks for what its clients want.
//!
//! To each node there is one line that all clients share who want to be spoken for in the same [`Manner`]: requests go out
//! without waiting for answers, and answers come in the order of the requests. What may wait at the other node, or watches
//! keys there, has a line of its own meanwhile.
//!
//! A line is opened when something is to be said on it. If it breaks, each request gets to know whether it can have been run
//! ([`Came`]); whether it is said again is up to who has asked.

mod talk;

use crate::cluster::id::Id;
use crate::command::forward::{Came, Manner, Outgoing};
use crate::command::shared::Shared;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use talk::Talk;
use tokio::sync::Notify;

/// Lines of which nobody is the owner that are kept for the next.
const SPARE_MAX: usize = 64;

/// Bytes of messages that may wait on a line: of more, as while the other node stands still, the next are left out. A message reaches
/// who listens at the moment.
const MESSAGES_BYTES_MAX: usize = 32 << 20;

/// The lines of one worker.
#[derive(Default)]
pub struct Lines {
    shared: BTreeMap<(Id, Manner), Rc<Line>>,
    lone: BTreeMap<(u64, u64), Rc<Line>>,
    spare: Spare,
}

/// Lines of their own that are not needed at the moment.
type Spare = Rc<RefCell<Vec<Rc<Line>>>>;

/// What is to be said on a line, for the task that speaks on it.
struct Line {
    to: Id,
    manner: Manner,
    /// Whether one client alone speaks on it.
    is_lone: bool,
    queue: RefCell<VecDeque<Outgoing>>,
    /// Bytes of these.
    queued: Cell<usize>,
    bell: Notify,
    /// Whether it is broken: nobody takes what is put into the queue.
    is_over: Cell<bool>,
}

impl Lines {
    /// Sends requests, each on its line.
    pub fn send(&mut self, requests: Vec<Outgoing>, worker: usize, node: &Arc<Shared>) {
        for request in requests {
            let Some(line) = self.line_of(&request, worker, node) else {
                if let Some(answer) = &request.answer {
                    answer.leave(Came::Nothing(Vec::new()));
                }
                continue;
            };
            if let (Some(owner), true) = (request.lone, request.is_last) {
                self.lone.remove(&owner);
            }
            if request.answer.is_none() && line.queued.get() > MESSAGES_BYTES_MAX {
                continue;
            }
            line.queued.set(line.queued.get() + request.request.len());
            line.queue.borrow_mut().push_back(request);
            line.bell.notify_one();
        }
    }

    /// The line on which a request is said; `None` if it depends on what was said on one that is no more.
    fn line_of(&mut self, request: &Outgoing, worker: usize, node: &Arc<Shared>) -> Option<Rc<Line>> {
        let key = (request.to, request.manner);
        let Some(owner) = request.lone else {
            let line = self.shared.get(&key).filter(|line| !line.is_over.get()).cloned();
            return Some(line.unwrap_or_else(|| {
                let line = Line::open(key, false, self.spare.clone(), worker, node);
                self.shared.insert(key, line.clone());
                line
            }));
        };
        let known = self.lone.get(&owner).filter(|line| !line.is_over.get()).cloned();
        if known.is_some() || request.goes_on {
            return known;
        }
        let mut spare = self.spare.borrow_mut();
        spare.retain(|line| !line.is_over.get());
        let at = spare.iter().position(|line| (line.to, line.manner) == key);
        let line = at.map(|at| spare.swap_remove(at));
        drop(spare);
        let line = line.unwrap_or_else(|| Line::open(key, true, self.spare.clone(), worker, node));
        self.lone.insert(owner, line.clone());
        Some(line)
    }
}

impl Line {
    /// A line on which something can be put at once, and a task that speaks on it.
    fn open((to, manner): (Id, Manner), is_lone: bool, spare: Spare, worker: usize, node: &Arc<Shared>) -> Rc<Line> {
        let (queue, queued, bell, is_over) = Default::default();
        let line = Rc::new(Line { to, manner, is_lone, queue, queued, bell, is_over });
        tracing::debug!(%to, worker, is_lone, "a line to another node is opened");
        tokio::task::spawn_local(speak(line.clone(), spare, node.clone()));
        line
    }

    /// Keeps the line for the next who needs one of its own.
    fn spare(self: &Rc<Line>, spare: &Spare) {
        let mut spare = spare.borrow_mut();
        if spare.len() < SPARE_MAX {
            spare.push(self.clone());
        }
    }
}

/// Speaks on a line until it breaks, or nobody needs it.
async fn speak(line: Rc<Line>, spare: Spare, node: Arc<Shared>) {
    let why = match Talk::open(&line, &node).await {
        Ok(mut talk) => {
            let why = talk.go_on(&line, &spare, &node).await;
            talk.end();
            why
        }
        Err(why) => why,
    };
    line.is_over.set(true);
    tracing::debug!(to = %line.to, "a line to another node has ended: {why}");
    let error = format!("-CLUSTERDOWN The node that serves it cannot be asked: {why}\r\n");
    for request in line.queue.borrow_mut().drain(..) {
        if let Some(answer) = &request.answer {
            answer.leave(Came::Nothing(error.clone().into_bytes()));
        }
    }
}
