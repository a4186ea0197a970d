//! What is kept on disk, and the end of the node, which may have it written.

use super::*;
use crate::command::saving::Busy;

pub const LASTSAVE: Command = Command {
    name: "LASTSAVE",
    run: lastsave,
    summary: "Returns when the data was last saved, in seconds since 1970; the start of the node if it never was.",
    flags: Flags::LOADING.and(Flags::STALE).and(Flags::FAST).and(Flags::ADMIN_CATEGORY),
    tips: &["nondeterministic_output"],
    ..SERVER
};

fn lastsave(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    let last_s = cx.node.saves.told(0).last_s;
    cx.reply.int(last_s as i64);
    REPLIED
}

pub const SAVE: Command = Command {
    name: "SAVE",
    run: save,
    summary: "Saves the data to disk while everybody waits.",
    complexity: "O(N) where N is the number of keys in all databases",
    scope: Scope::Everything,
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING).and(Flags::NO_MULTI),
    ..SERVER
};

const BUSY: Fault = Fault::text("ERR Background save already in progress");

fn save(cx: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    match cx.node.save() {
        Ok(Ok(())) => cx.reply.ok(),
        Ok(Err(why)) => return Err(Fault::owned(format!("ERR {why}"))),
        Err(Busy) => return Err(BUSY),
    }
    REPLIED
}

pub const BGSAVE: Command = Command {
    name: "BGSAVE",
    run: bgsave,
    summary: "Saves the data to disk while commands go on.",
    args: &[token("schedule", "SCHEDULE").since("3.2.2").optional()],
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING),
    ..SERVER
};

fn bgsave(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let _ = args.take("SCHEDULE");
    args.end()?;
    match cx.node.save_aside() {
        // It cannot begin before the transaction has ended.
        Ok(()) if cx.session.in_transaction => cx.reply.simple("Background saving scheduled"),
        Ok(()) => cx.reply.simple("Background saving started"),
        Err(Busy) if cx.session.in_transaction => {
            cx.node.saves.schedule();
            cx.reply.simple("Background saving scheduled");
        }
        Err(Busy) => return Err(BUSY),
    }
    REPLIED
}

pub const BGREWRITEAOF: Command = Command {
    name: "BGREWRITEAOF",
    run: rewrite_log,
    summary: "Writes the append-only file anew, as short as the data allows.",
    flags: Flags::ADMIN.and(Flags::NOSCRIPT).and(Flags::NO_ASYNC_LOADING),
    ..SERVER
};

fn rewrite_log(_: &mut Ctx<'_>, _: &mut Args<'_>) -> Outcome {
    Err(Fault::text("ERR BGREWRITEAOF is not supported: Larder writes snapshots and no append-only file; use BGSAVE"))
}

pub const SHUTDOWN: Command = Command {
    name: "SHUTDOWN",
    run: shutdown,
    summary: "Finishes what is in flight, hands over in a cluster unless NOW is said, saves if there are save points or SAVE asks for it, and ends the node.",
    complexity: "O(N) when saving, where N is the number of keys in all databases, otherwise O(1)",
    args: &[
        one_of("save-selector", &[token("nosave", "NOSAVE"), token("save", "SAVE")]).optional(),
        token("now", "NOW").since("7.0.0").optional(),
        token("force", "FORCE").since("7.0.0").optional(),
        token("abort", "ABORT").since("7.0.0").optional(),
    ],
    scope: Scope::Everything,
    flags: ADMIN.and(Flags::NO_MULTI).and(Flags::ALLOW_BUSY),
    ..SERVER
};

fn shutdown(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let asked = ShutdownOptions::read(args)?;
    if asked.abort {
        // A node here ends at once, there are no replicas to wait for; so there is never anything to call off.
        return Err(Fault::text("ERR No shutdown in progress."));
    }
    let saves = match asked.save {
        Some(saves) => saves,
        None => !cx.node.live.config().save.is_empty(),
    };
    // The last snapshot is written once all connections are over. This one shows whether it can be written: if not, the
    // node goes on, and nothing is lost.
    if saves && !cx.node.loading.is_on() {
        match cx.node.save() {
            Ok(Ok(())) | Err(Busy) => {}
            Ok(Err(_)) if asked.force => {}
            Ok(Err(_)) => return Err(Fault::text("ERR Errors trying to SHUTDOWN. Check logs.")),
        }
    }
    tracing::info!(client = %cx.session.client.address, "a client asked the node to shut down");
    match cx.node.itself().filter(|node| node.cluster.is_on() && !asked.now) {
        Some(node) => {
            let leave = move || {
                node.leave_cluster();
                node.stop_saving(saves);
            };
            let started = std::thread::Builder::new().name("larder-leave".into()).spawn(leave);
            started.map_err(|error| Fault::owned(format!("ERR Errors trying to SHUTDOWN: {error}")))?;
        }
        None => cx.node.stop_saving(saves),
    }
    Ok(Done::Close)
}

#[derive(Default)]
struct ShutdownOptions {
    save: Option<bool>,
    now: bool,
    force: bool,
    abort: bool,
}

impl ShutdownOptions {
    fn read(args: &mut Args<'_>) -> Result<ShutdownOptions, Fault> {
        let mut options = ShutdownOptions::default();
        let (mut save, mut nosave, mut now) = (false, false, false);
        while !args.is_empty() {
            match () {
                () if args.take("NOSAVE") => nosave = true,
                () if args.take("SAVE") => save = true,
                () if args.take("NOW") => now = true,
                () if args.take("FORCE") => options.force = true,
                () if args.take("ABORT") => options.abort = true,
                () => return Err(Fault::Syntax),
            }
        }
        if options.abort && (nosave || save || now || options.force) || nosave && save {
            return Err(Fault::Syntax);
        }
        options.save = (save || nosave).then_some(save);
        options.now = now;
        Ok(options)
    }
}
