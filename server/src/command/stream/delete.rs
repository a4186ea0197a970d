//! `XDEL`: entries are deleted by their ids.

use super::*;

pub const XDEL: Command = Command {
    name: "XDEL",
    run: xdel,
    summary: "Deletes entries of a stream. What groups have pending of them stays pending.",
    complexity: "O(1) for each entry",
    args: &[key("key", Usage::Update), text("id").many()],
    flags: Flags::WRITE.and(Flags::FAST),
    key_use: KeyUse::Flags(&["RW", "delete"]),
    ..STREAM
};

fn xdel(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let key = args.key()?;
    let Some(mut stream) = cx.store.open::<Stream>(key)? else {
        cx.reply.len(0);
        return REPLIED;
    };
    check_ids(args)?;
    let log = stream.log_mut();
    let mut deleted = 0;
    for word in args.rest() {
        deleted += usize::from(log.delete(id(word)?));
    }
    if deleted == 0 {
        stream.unchanged();
    }
    drop(stream);
    cx.event_if(deleted > 0, Class::Stream, "xdel", key.bytes);
    cx.reply.len(deleted);
    REPLIED
}
