//! Tables and figures for people.

/// Columns as wide as their widest cell: the first to the left, the others to the right.
pub fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let width_of = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([header[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..header.len()).map(width_of).collect();
    let mut text = line(&widths, header.iter().copied());
    for row in rows {
        text.push_str(&line(&widths, row.iter().map(String::as_str)));
    }
    text
}

fn line<'a>(widths: &[usize], cells: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for (column, (cell, width)) in cells.zip(widths).enumerate() {
        match column {
            0 => text.push_str(&format!("{cell:<width$}")),
            _ => text.push_str(&format!("  {cell:>width$}")),
        }
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// A figure with three digits or more, or a dash.
pub fn figure(number: Option<f64>) -> String {
    match number {
        None => "-".to_owned(),
        Some(number) if number.abs() >= 100.0 => format!("{number:.0}"),
        Some(number) if number.abs() >= 10.0 => format!("{number:.1}"),
        Some(number) if number.abs() >= 1.0 => format!("{number:.2}"),
        Some(number) => format!("{number:.3}"),
    }
}

/// A ratio with two digits behind the point, or a dash.
pub fn ratio(number: Option<f64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| format!("{number:.2}x"))
}

/// A whole number in groups of three digits.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

/// The middle value, or the mean of the two middle ones; none of nothing.
pub fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let middle = numbers.len() / 2;
    match numbers.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(numbers[middle]),
        _ => Some((numbers[middle - 1] + numbers[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["long".to_owned(), "22222".to_owned()]];
        assert_eq!(render(&["name", "n"], &rows), "name      n\na         1\nlong  22222\n");
    }

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!([0.1234, 1.234, 12.34, 123.4].map(|n| figure(Some(n))), ["0.123", "1.23", "12.3", "123"]);
        assert_eq!([0.0, 999.0, 1000.0, 1234567.0].map(grouped), ["0", "999", "1_000", "1_234_567"]);
        assert_eq!([ratio(Some(0.333)), ratio(None)], ["0.33x", "-"]);
    }

    #[test]
    fn the_median_of_an_even_count_lies_between() {
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), Some(2.5));
        assert_eq!(median(vec![]), None);
    }
}
