//! Where an element stands: `LPOS`.

use super::*;

pub const LPOS: Command = Command {
    name: "LPOS",
    run: lpos,
    summary: "Tells at which positions of a list an element stands.",
    complexity: "O(N) for N elements looked at",
    since: "6.0.6",
    args: &[
        key("key", Usage::Read),
        text("element"),
        int("rank").after("RANK").optional(),
        int("num-matches").after("COUNT").optional(),
        int("len").after("MAXLEN").optional(),
    ],
    flags: Flags::READONLY,
    ..LIST
};

const RANK_ZERO: Fault = Fault::text(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
     or use negative to start from the end of the list",
);

/// Which of the equal elements are told.
struct Search {
    /// From where one looks.
    end: End,
    /// How many equal elements are passed over.
    skip: usize,
    /// How many are told; `None` for one that is not told as an array.
    count: Option<usize>,
    /// How many elements are looked at.
    length: usize,
}

impl Search {
    fn parse(args: &mut Args<'_>) -> Result<Search, Fault> {
        let mut search = Search { end: End::Head, skip: 0, count: None, length: usize::MAX };
        while !args.is_empty() {
            if args.take("RANK") {
                let rank = args.negatable()?;
                search.end = if rank < 0 { End::Tail } else { End::Head };
                search.skip = (rank.unsigned_abs() as usize).checked_sub(1).ok_or(RANK_ZERO)?;
            } else if args.take("COUNT") {
                search.count = Some(or_all(args.at_least(0, "ERR COUNT can't be negative")?));
            } else if args.take("MAXLEN") {
                search.length = or_all(args.at_least(0, "ERR MAXLEN can't be negative")?);
            } else {
                return Err(Fault::Syntax);
            }
        }
        Ok(search)
    }

    /// Visits the positions found.
    fn run(&self, list: &List, element: &[u8], mut visit: impl FnMut(usize)) {
        let mut skip = self.skip;
        let mut left = self.count.unwrap_or(1);
        list.positions(element, self.end, self.length, |position| {
            if skip > 0 {
                skip -= 1;
                return true;
            }
            visit(position);
            left -= 1;
            left > 0
        });
    }
}

/// A limit, of which 0 means that there is none.
fn or_all(limit: usize) -> usize {
    if limit == 0 { usize::MAX } else { limit }
}

fn lpos(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    let (key, element) = (args.key()?, args.word()?);
    let search = Search::parse(args)?;
    let list = cx.store.read::<List>(key)?;
    let start = cx.reply.out.len();
    let mut found = 0;
    if let Some(list) = list {
        search.run(list, element, |position| {
            found += 1;
            cx.reply.len(position);
        });
    }
    if search.count.is_some() {
        cx.reply.before(start, |reply| reply.array(found));
    } else if found == 0 {
        cx.reply.null();
    }
    REPLIED
}

#[cfg(test)]
mod tests {
    use super::super::tests::WRONG_TYPE;
    use crate::command::testing::Desk;

    #[test]
    fn positions_are_told_from_either_end() {
        let mut desk = Desk::new();
        desk.check("RPUSH p a b c 1 2 3 c c", ":8");
        for (options, answer) in [
            ("c", ":2"),
            ("x", "$-1"),
            ("1", ":3"),
            ("01", "$-1"),
            ("c RANK 2", ":6"),
            ("c RANK 4", "$-1"),
            ("c rank -1", ":7"),
            ("c RANK -2 COUNT 0", "*2 :6 :2"),
            ("c COUNT 2", "*2 :2 :6"),
            ("c COUNT 0", "*3 :2 :6 :7"),
            ("c COUNT 2 RANK 4", "*0"),
            ("c COUNT 2 COUNT 1", "*1 :2"),
            ("c COUNT 0 MAXLEN 3", "*1 :2"),
            ("c COUNT 0 MAXLEN 7", "*2 :2 :6"),
            ("c COUNT 0 MAXLEN 0", "*3 :2 :6 :7"),
            ("c RANK -1 MAXLEN 1", ":7"),
            ("a RANK -1 MAXLEN 7", "$-1"),
        ] {
            desk.check(&format!("LPOS p {options}"), answer);
        }
        desk.check("LPOS none c", "$-1");
        desk.check("LPOS none c COUNT 0", "*0");
        desk.set_protocol(3);
        desk.check("LPOS none c", "_");
    }

    #[test]
    fn wrong_options_are_refused_before_the_key_is_looked_at() {
        let mut desk = Desk::new();
        desk.check("SET s v", "+OK");
        let range = "value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        for (options, fault) in [
            (
                "RANK 0",
                "RANK can't be zero: use 1 to start from the first match, 2 from the second ... \
                 or use negative to start from the end of the list",
            ),
            ("RANK abc", "value is not an integer or out of range"),
            ("RANK -9223372036854775808", range),
            ("COUNT -1", "COUNT can't be negative"),
            ("COUNT x", "COUNT can't be negative"),
            ("MAXLEN -1", "MAXLEN can't be negative"),
            ("MAXLEN x", "MAXLEN can't be negative"),
            ("COUNT", "syntax error"),
            ("RANK", "syntax error"),
            ("FOO 1", "syntax error"),
            ("COUNT -1 FOO", "COUNT can't be negative"),
        ] {
            desk.check(&format!("LPOS s c {options}"), &format!("-ERR {fault}"));
        }
        desk.check("LPOS s c", WRONG_TYPE);
        desk.check("LPOS s", "-ERR wrong number of arguments for 'lpos' command");
    }
}
