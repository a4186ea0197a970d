//! `LOLWUT`: the version, with a picture.

use super::info::REDIS_VERSION;
use super::*;
use crate::store::policy::lfu::random;

pub const LOLWUT: Command = Command {
    name: "LOLWUT",
    run: lolwut,
    summary: "Draws a larder, and tells the version.",
    since: "5.0.0",
    args: &[int("version").after("VERSION").optional()],
    flags: Flags::READONLY.and(Flags::FAST),
    ..SERVER
};

/// Shelves and jars on a shelf when nobody says otherwise.
const SHELVES: usize = 3;
const JARS: usize = 9;

/// The most of either that is drawn.
const SHELVES_MAX: usize = 20;
const JARS_MAX: usize = 40;

fn lolwut(cx: &mut Ctx<'_>, args: &mut Args<'_>) -> Outcome {
    // Redis draws by version and lets each drawing read what it likes; here every version shows the larder, whose two
    // numbers are its shelves and its jars.
    if args.take("VERSION") {
        args.int()?;
    }
    let shelves = size(args, SHELVES, SHELVES_MAX)?;
    let jars = size(args, JARS, JARS_MAX)?;
    let text = picture(shelves, jars, || random() as usize);
    cx.reply.verbatim(&text);
    REPLIED
}

fn size(args: &mut Args<'_>, usual: usize, max: usize) -> Result<usize, Fault> {
    match args.is_empty() {
        true => Ok(usual),
        false => Ok(usize::try_from(args.int().unwrap_or(0)).unwrap_or(0).clamp(1, max)),
    }
}

/// Jars from their lids down, each line by how full the jar is.
const JAR: [[&str; FILLS]; 3] =
    [[" ,-. ", " ,-. ", " ,-. ", " ,-. "], ["|   |", "|   |", "|...|", "|:::|"], ["|___|", "|:::|", "|:::|", "|:::|"]];
const FILLS: usize = 4;

fn picture(shelves: usize, jars: usize, mut random: impl FnMut() -> usize) -> String {
    let plank = "=".repeat(jars * 6 + 1);
    let mut text = String::new();
    for _ in 0..shelves {
        let row: Vec<usize> = (0..jars).map(|_| random() % FILLS).collect();
        for line in JAR {
            let jars: Vec<&str> = row.iter().map(|fill| line[*fill]).collect();
            text.push_str(format!(" {}", jars.join(" ")).trim_end());
            text.push('\n');
        }
        text.push_str(&plank);
        text.push('\n');
    }
    text.push_str(&format!(
        "\nWhat a household will need again soon. Larder {}, at your service as Redis ver. {REDIS_VERSION}\n",
        env!("CARGO_PKG_VERSION")
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larder_has_the_size_that_was_asked_for() {
        let text = picture(2, 3, || 3);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "  ,-.   ,-.   ,-.");
        assert_eq!(lines[1], " |:::| |:::| |:::|");
        assert_eq!(lines[3], "===================");
        assert_eq!(lines.len(), 2 * 4 + 2);
    }
}
