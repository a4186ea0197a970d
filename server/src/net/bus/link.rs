//! One connection of the bus: how it is made, and what goes over it. A task each.

use crate::cluster::bus::{FRAME_BYTES_MAX, Greeting, Message, Met, Open, Progress, Seal, Who, decode, encode};
use crate::cluster::id::Id;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How long a connection may take to be made, and the two ends to meet.
const MEET_TIME: Duration = Duration::from_secs(2);

/// A link that has been silent for so long is given up: who leads says something many times a second, and other links are not
/// needed for longer. Without it a link whose packets were lost for a while would come to life only when TCP tries again.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// Messages that may wait to be sent; more are lost, as on a network.
const WAITING_MAX: usize = 512;

/// Bytes that are read at a time, and sealed messages that are written at a time.
const READ_BYTES: usize = 64 * 1024;
const WRITE_BYTES: usize = 256 * 1024;

/// Who a connection is made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// A node of the cluster.
    Node(Id),
    /// One that this node was told of, by its place in the list.
    Seed(usize),
    /// It has called.
    Caller,
}

/// What a link tells of itself, by its number.
pub enum Event {
    Met {
        link: u64,
        towards: Towards,
        who: Who,
        outbox: Sender<Message>,
    },
    Said {
        link: u64,
        message: Message,
    },
    /// It has ended, or never came about. The reason is in words for an operator, unless it is of no interest.
    Ended {
        link: u64,
        towards: Towards,
        why: Option<String>,
    },
}

/// What a link begins with.
pub struct Beginning {
    pub link: u64,
    pub towards: Towards,
    pub own: Who,
    pub secret: Vec<u8>,
    /// Fresh randomness.
    pub nonce: [u8; 32],
    pub events: Sender<Event>,
}

/// Calls an address, and serves the link.
pub async fn call(beginning: Beginning, host: String, port: u16) {
    let connecting = tokio::time::timeout(MEET_TIME, TcpStream::connect((host.as_str(), port))).await;
    match connecting {
        Ok(Ok(stream)) => serve(beginning, stream).await,
        // That a node is not there is seen by what it does not say.
        _ => end(beginning, None).await,
    }
}

/// Serves a link from its beginning to its end.
pub async fn serve(beginning: Beginning, mut stream: TcpStream) {
    let _ = stream.set_nodelay(true);
    let met = match tokio::time::timeout(MEET_TIME, meet(&beginning, &mut stream)).await {
        Ok(Ok(met)) => met,
        Ok(Err(why)) => {
            let peer = stream.peer_addr().map_or("a node".to_owned(), |address| address.to_string());
            return end(beginning, why.map(|why| format!("{peer} is not talked to: {why}"))).await;
        }
        Err(_) => return end(beginning, None).await,
    };
    let (outbox, waiting) = channel(WAITING_MAX);
    let Beginning { link, towards, ref events, .. } = beginning;
    if events.send(Event::Met { link, towards, who: met.who, outbox }).await.is_err() {
        return;
    }
    let (mut read, mut write) = stream.split();
    let why = tokio::select! {
        why = listen(&mut read, met.open, link, events) => why,
        () = talk(&mut write, met.seal, waiting) => None,
    };
    end(beginning, why).await;
}

async fn end(beginning: Beginning, why: Option<String>) {
    let Beginning { link, towards, events, .. } = beginning;
    // Nobody listens any longer once the node stops.
    let _ = events.send(Event::Ended { link, towards, why }).await;
}

/// Lets both ends prove to each other that they know the secret.
async fn meet(beginning: &Beginning, stream: &mut TcpStream) -> Result<Met, Option<String>> {
    let Beginning { towards, own, secret, nonce, .. } = beginning;
    let mut out = Vec::new();
    let mut greeting = match towards {
        Towards::Caller => Greeting::answer(*own, secret, *nonce),
        _ => Greeting::call(*own, secret, *nonce, &mut out),
    };
    let mut buffer = [0; 1024];
    loop {
        stream.write_all(&out).await.map_err(|_| None)?;
        out.clear();
        let read = stream.read(&mut buffer).await.map_err(|_| None)?;
        if read == 0 {
            return Err(None);
        }
        match greeting.feed(&buffer[..read], &mut out) {
            Ok(Progress::Read) => {}
            Ok(Progress::Met(met)) => {
                stream.write_all(&out).await.map_err(|_| None)?;
                return Ok(*met);
            }
            Err(refusal) => {
                // The other end may learn from this why it is refused.
                let _ = stream.write_all(&out).await;
                return Err(Some(refusal.to_string()));
            }
        }
    }
}

/// Passes on what the other end says. Returns why that is over.
async fn listen(
    read: &mut tokio::net::tcp::ReadHalf<'_>,
    mut open: Open,
    link: u64,
    events: &Sender<Event>,
) -> Option<String> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        loop {
            match open.next_message().map(|bytes| bytes.map(decode)) {
                Ok(None) => break,
                Ok(Some(Ok(message))) => events.send(Event::Said { link, message }).await.ok()?,
                Ok(Some(Err(error))) => return Some(format!("a node said what makes no sense: {error}")),
                Err(broken) => return Some(format!("a link to a node was given up: {broken}")),
            }
        }
        let read = tokio::time::timeout(SILENCE_MAX, read.read(&mut buffer)).await.ok()?.ok()?;
        if read == 0 {
            return None;
        }
        open.feed(&buffer[..read]);
    }
}

/// Sends what waits, several messages at a time, until the link breaks or nobody has anything to say any longer.
async fn talk(write: &mut tokio::net::tcp::WriteHalf<'_>, mut seal: Seal, mut waiting: Receiver<Message>) {
    let mut out = Vec::new();
    while let Some(message) = waiting.recv().await {
        let mut next = Some(message);
        while let Some(message) = next {
            let bytes = encode(&message);
            if bytes.len() <= FRAME_BYTES_MAX {
                seal.push(&mut out, &bytes);
            }
            next = if out.len() < WRITE_BYTES { waiting.try_recv().ok() } else { None };
        }
        if write.write_all(&out).await.is_err() {
            return;
        }
        out.clear();
        out.shrink_to(WRITE_BYTES);
    }
}
