//! Okapi BM25 over one call's own documents: no index, no state.

use std::collections::HashMap;

/// How fast repeated words stop counting.
const K1: f64 = 1.2;
/// How much long documents are held back.
const B: f64 = 0.75;

/// A document's place in the answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ranked {
    /// Which of the call's documents.
    pub(crate) index: usize,
    /// Its BM25 score: 0 if it shares no word with the query, without upper bound.
    pub(crate) score: f64,
}

/// All documents, the best first; equal scores keep the order of the call.
pub(crate) fn rank(query: &str, documents: &[String]) -> Vec<Ranked> {
    let documents: Vec<Bag> = documents.iter().map(|text| Bag::of(text)).collect();
    let query = words(query);
    let count = documents.len() as f64;
    let average = documents.iter().map(|bag| bag.words).sum::<f64>() / count.max(1.0);
    let rarity: Vec<f64> = query.iter().map(|word| rarity(word, &documents, count)).collect();

    let mut ranked: Vec<Ranked> = documents
        .iter()
        .enumerate()
        .map(|(index, bag)| {
            let length = K1 * (1.0 - B + B * bag.words / average.max(f64::MIN_POSITIVE));
            let score = query.iter().zip(&rarity).map(|(word, rarity)| {
                let times = bag.times(word);
                if times == 0.0 { 0.0 } else { rarity * times * (K1 + 1.0) / (times + length) }
            });
            Ranked { index, score: score.sum() }
        })
        .collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.index.cmp(&b.index)));
    ranked
}

/// The words of a text, in lower case: runs of letters and digits of any script.
pub(crate) fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect()
}

/// A document as BM25 sees it.
struct Bag {
    words: f64,
    times: HashMap<String, f64>,
}

impl Bag {
    fn of(text: &str) -> Self {
        let words = words(text);
        let count = words.len() as f64;
        let mut times = HashMap::new();
        for word in words {
            *times.entry(word).or_insert(0.0) += 1.0;
        }
        Self { words: count, times }
    }

    fn times(&self, word: &str) -> f64 {
        self.times.get(word).copied().unwrap_or(0.0)
    }
}

/// The inverse document frequency in the form that never goes below zero: ln(1 + (N - n + 0.5) / (n + 0.5)).
fn rarity(word: &str, documents: &[Bag], count: f64) -> f64 {
    let having = documents.iter().filter(|bag| bag.times.contains_key(word)).count() as f64;
    (1.0 + (count - having + 0.5) / (having + 0.5)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(query: &str, documents: &[&str]) -> Vec<(usize, f64)> {
        let documents: Vec<String> = documents.iter().map(|&text| text.to_owned()).collect();
        rank(query, &documents).into_iter().map(|ranked| (ranked.index, ranked.score)).collect()
    }

    #[track_caller]
    fn assert_close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    /// By hand: N = 3, lengths 2, 4, 3, average 3. "cat" is in two documents: ln(1 + 1.5 / 2.5) = ln 1.6.
    /// Document 0: once in 2 words: K = 1.2 * (0.25 + 0.75 * 2/3) = 0.9: ln 1.6 * 2.2 / 1.9.
    /// Document 1: twice in 4 words: K = 1.2 * (0.25 + 0.75 * 4/3) = 1.5: ln 1.6 * 4.4 / 3.5.
    #[test]
    fn scores_are_those_worked_out_by_hand() {
        let found = ranked("cat", &["The cat", "cat, cat and dog", "a bird sang"]);
        assert_eq!(found.iter().map(|&(index, _)| index).collect::<Vec<_>>(), [1, 0, 2]);
        let idf = 1.6f64.ln();
        assert_close(found[0].1, idf * 4.4 / 3.5);
        assert_close(found[1].1, idf * 2.2 / 1.9);
        assert_close(found[2].1, 0.0);
    }

    /// The formula once more, as literally as one can write it, over many small corpora.
    #[test]
    fn scores_equal_those_of_the_formula_written_out() {
        let vocabulary = ["ant", "bee", "cat", "dog", "elk"];
        for seed in 0..200usize {
            let text = |n: usize| {
                let length = (seed + 3 * n) % 7;
                (0..length).map(|i| vocabulary[(seed * 7 + n * 5 + i * i) % 5]).collect::<Vec<_>>()
            };
            let documents: Vec<Vec<&str>> = (0..1 + seed % 5).map(text).collect();
            let query = [vocabulary[seed % 5], vocabulary[(seed / 5) % 5]];
            let joined: Vec<String> = documents.iter().map(|words| words.join(" ")).collect();
            let n = documents.len() as f64;
            let average = documents.iter().map(Vec::len).sum::<usize>() as f64 / n;
            for Ranked { index, score } in rank(&query.join(" "), &joined) {
                let mut expected = 0.0;
                for q in query {
                    let df = documents.iter().filter(|d| d.contains(&q)).count() as f64;
                    let tf = documents[index].iter().filter(|&&w| w == q).count() as f64;
                    if tf > 0.0 {
                        let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
                        let long = documents[index].len() as f64 / average;
                        expected += idf * (tf * 2.2) / (tf + 1.2 * (0.25 + 0.75 * long));
                    }
                }
                assert_close(score, expected);
            }
        }
    }

    #[test]
    fn equal_scores_keep_the_order_of_the_call() {
        let found = ranked("x", &["a", "x", "b", "x"]);
        assert_eq!(found.iter().map(|&(index, _)| index).collect::<Vec<_>>(), [1, 3, 0, 2]);
    }

    #[test]
    fn empty_documents_and_queries_score_nothing_and_stay() {
        assert_eq!(ranked("", &["a", ""]), [(0, 0.0), (1, 0.0)]);
        assert_eq!(ranked("a", &["", ""]), [(0, 0.0), (1, 0.0)]);
        assert_eq!(ranked("a", &[]), []);
    }

    #[test]
    fn words_are_runs_of_letters_and_digits_in_lower_case() {
        assert_eq!(words("Straße, ÉTÉ-2024\n(日本語) it's"), ["straße", "été", "2024", "日本語", "it", "s"]);
        assert_eq!(words(" -- "), Vec::<String>::new());
    }
}
