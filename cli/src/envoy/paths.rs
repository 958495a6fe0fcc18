//! Whether paths of the plugin's routes can fall into the `match` of a route of Envoy's.

use super::at::At;
use regex::Regex;
use rerank_guard::call::is_name;

/// How many of a template's paths match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meeting {
    /// None does.
    Never,
    /// It cannot be told.
    Unknown,
    /// Some do, or all under a condition.
    Some,
    /// All do, always.
    All,
}

/// The paths that a template of the plugin's stands for.
#[derive(Debug)]
pub(super) struct Paths<'t> {
    segments: Vec<Segment<'t>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Segment<'t> {
    Literal(&'t str),
    Named,
}

/// Names to try on regular expressions.
const SAMPLES: [&str; 6] = ["a", "web-docs", "hr-reviews", "A.b_c:1-2", "0", "tenant42"];

impl<'t> Paths<'t> {
    /// Of a template such as `/{dataset}/v2/rerank`.
    pub(super) fn of(template: &'t str) -> Self {
        let parts = template.strip_prefix('/').unwrap_or(template).split('/');
        Self {
            segments: parts
                .map(|part| if part.starts_with('{') { Segment::Named } else { Segment::Literal(part) })
                .collect(),
        }
    }

    /// How a route's `match` meets calls on these paths. They are `POST`s.
    pub(super) fn meet(&self, wanted: &At<'_>) -> Meeting {
        let meeting = self.path(wanted);
        let conditions = [
            "runtime_fraction",
            "headers",
            "query_parameters",
            "cookies",
            "grpc",
            "tls_context",
            "dynamic_metadata",
            "filter_state",
        ];
        if is_for_other_methods(wanted) {
            Meeting::Never
        } else if meeting == Meeting::All
            && conditions
                .iter()
                .any(|name| wanted.get(name).is_some_and(|at| at.value.as_array().is_none_or(|all| !all.is_empty())))
        {
            Meeting::Some
        } else {
            meeting
        }
    }

    fn path(&self, wanted: &At<'_>) -> Meeting {
        let folds = wanted.get("case_sensitive").is_some() && !wanted.is_on("case_sensitive");
        if let Some(path) = wanted.text("path") {
            self.exactly(path, folds)
        } else if let Some(prefix) = wanted.text("prefix") {
            self.under(prefix, folds)
        } else if let Some(prefix) = wanted.text("path_separated_prefix") {
            self.exactly(prefix, folds).max(self.under(&format!("{prefix}/"), folds))
        } else if let Some(regex) = wanted.text("safe_regex.regex") {
            self.expressed(regex)
        } else if wanted.get("connect_matcher").is_some() {
            Meeting::Never
        } else {
            Meeting::Unknown
        }
    }

    fn exactly(&self, path: &str, folds: bool) -> Meeting {
        let Some(path) = path.strip_prefix('/') else { return Meeting::Never };
        let parts: Vec<&str> = path.split('/').collect();
        if parts.len() != self.segments.len()
            || !self.segments.iter().zip(&parts).all(|(one, part)| one.is(part, folds))
        {
            return Meeting::Never;
        }
        if self.segments.contains(&Segment::Named) { Meeting::Some } else { Meeting::All }
    }

    fn under(&self, prefix: &str, folds: bool) -> Meeting {
        let Some(prefix) = prefix.strip_prefix('/') else {
            return if prefix.is_empty() { Meeting::All } else { Meeting::Never };
        };
        let mut parts: Vec<&str> = prefix.split('/').collect();
        let last = parts.pop().unwrap_or_default();
        let Some((begun, _)) = self.segments.get(parts.len()..).and_then(<[_]>::split_first) else {
            return Meeting::Never;
        };
        let whole = self.segments.iter().zip(&parts);
        if !whole.clone().all(|(one, part)| one.is(part, folds)) || !begun.begins(last, folds) {
            return Meeting::Never;
        }
        let is_any =
            whole.clone().all(|(one, _)| *one != Segment::Named) && (*begun != Segment::Named || last.is_empty());
        if is_any { Meeting::All } else { Meeting::Some }
    }

    fn expressed(&self, regex: &str) -> Meeting {
        let bare = regex.strip_prefix('^').unwrap_or(regex);
        let literal: String =
            bare.chars().take_while(|letter| letter.is_ascii_alphanumeric() || "/-_".contains(*letter)).collect();
        // What comes before a quantifier may be left out, and an alternative makes all of it one of several.
        let optional = bare.chars().nth(literal.len()).is_some_and(|letter| "?*{".contains(letter));
        let literal = literal.get(..literal.len().saturating_sub(usize::from(optional))).unwrap_or_default();
        if !bare.contains('|') && !literal.is_empty() && self.under(literal, false) == Meeting::Never {
            return Meeting::Never;
        }
        let Ok(regex) = Regex::new(&format!("^(?:{regex})$")) else { return Meeting::Unknown };
        let names = if self.segments.contains(&Segment::Named) { &SAMPLES[..] } else { &SAMPLES[..1] };
        let matching = names.iter().filter(|name| regex.is_match(&self.written(name))).count();
        match (self.segments.contains(&Segment::Named), matching) {
            (false, 0) => Meeting::Never,
            (false, _) => Meeting::All,
            (true, 0) => Meeting::Unknown,
            (true, _) => Meeting::Some,
        }
    }

    fn written(&self, name: &str) -> String {
        self.segments.iter().fold(String::new(), |path, segment| match segment {
            Segment::Literal(part) => format!("{path}/{part}"),
            Segment::Named => format!("{path}/{name}"),
        })
    }
}

impl Segment<'_> {
    fn is(self, part: &str, folds: bool) -> bool {
        match self {
            Self::Literal(literal) if folds => literal.eq_ignore_ascii_case(part),
            Self::Literal(literal) => literal == part,
            Self::Named => is_name(part),
        }
    }

    fn begins(self, part: &str, folds: bool) -> bool {
        match self {
            Self::Literal(literal) => literal
                .get(..part.len())
                .is_some_and(|begin| begin == part || (folds && begin.eq_ignore_ascii_case(part))),
            Self::Named => part.is_empty() || is_name(part),
        }
    }
}

fn is_for_other_methods(wanted: &At<'_>) -> bool {
    wanted.items("headers").iter().any(|header| {
        let exact = header.text("string_match.exact").or_else(|| header.text("exact_match"));
        header.text("name") == Some(":method")
            && !header.is_on("invert_match")
            && exact.is_some_and(|exact| !exact.eq_ignore_ascii_case("POST"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn meet(template: &str, wanted: &Value) -> Meeting {
        Paths::of(template).meet(&At::root(wanted))
    }

    #[test]
    fn what_a_route_takes_is_what_envoy_would_take() {
        const CALLS: &str = "/cohere/{dataset}/v2/rerank";
        for (template, wanted, meeting) in [
            ("/rerank", json!({"path": "/rerank"}), Meeting::All),
            ("/rerank", json!({"path": "/rerank/"}), Meeting::Never),
            ("/rerank", json!({"path": "/Rerank"}), Meeting::Never),
            ("/rerank", json!({"path": "/Rerank", "case_sensitive": false}), Meeting::All),
            ("/rerank", json!({"prefix": "/"}), Meeting::All),
            ("/rerank", json!({"prefix": ""}), Meeting::All),
            ("/rerank", json!({"prefix": "/re"}), Meeting::All),
            ("/rerank", json!({"prefix": "/rerank/"}), Meeting::Never),
            ("/rerank", json!({"prefix": "/reranker"}), Meeting::Never),
            ("/rerank", json!({"path_separated_prefix": "/rerank"}), Meeting::All),
            ("/rerank", json!({"path_separated_prefix": "/re"}), Meeting::Never),
            ("/rerank", json!({"prefix": "/", "headers": []}), Meeting::All),
            ("/rerank", json!({"prefix": "/", "headers": [{"name": "x-beta", "present_match": true}]}), Meeting::Some),
            ("/rerank", json!({"prefix": "/", "queryParameters": [{"name": "x"}]}), Meeting::Some),
            ("/rerank", json!({"prefix": "/", "runtime_fraction": {}}), Meeting::Some),
            (
                "/rerank",
                json!({"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}),
                Meeting::Never,
            ),
            ("/rerank", json!({"prefix": "/", "headers": [{"name": ":method", "exact_match": "POST"}]}), Meeting::Some),
            (
                "/rerank",
                json!({"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "post", "ignore_case": true}}]}),
                Meeting::Some,
            ),
            (
                "/rerank",
                json!({"prefix": "/", "headers": [{"name": ":method", "string_match": {"exact": "GET"}, "invert_match": true}]}),
                Meeting::Some,
            ),
            ("/rerank", json!({"connect_matcher": {}}), Meeting::Never),
            ("/rerank", json!({"path_match_policy": {}}), Meeting::Unknown),
            (CALLS, json!({"prefix": "/cohere/"}), Meeting::All),
            (CALLS, json!({"prefix": "/cohere/hr-"}), Meeting::Some),
            (CALLS, json!({"prefix": "/cohere/hr%2d"}), Meeting::Never),
            (CALLS, json!({"prefix": "/cohere/hr/v2"}), Meeting::Some),
            (CALLS, json!({"prefix": "/cohere/hr/v1"}), Meeting::Never),
            (CALLS, json!({"prefix": "/jina"}), Meeting::Never),
            (CALLS, json!({"path": "/cohere/hr/v2/rerank"}), Meeting::Some),
            (CALLS, json!({"safe_regex": {"regex": "/cohere/hr-.*"}}), Meeting::Some),
            (CALLS, json!({"safe_regex": {"regex": "^/jina/.*"}}), Meeting::Never),
            (CALLS, json!({"safe_regex": {"regex": "/cohere/board/.*"}}), Meeting::Unknown),
            (CALLS, json!({"safe_regex": {"regex": "/jina/.*|/cohere/.*"}}), Meeting::Some),
            ("/rerank", json!({"safe_regex": {"regex": "/re(rank|view)"}}), Meeting::All),
            ("/rerank", json!({"safe_regex": {"regex": "/rerankx?"}}), Meeting::All),
            ("/rerank", json!({"safe_regex": {"regex": "/rank"}}), Meeting::Never),
        ] {
            assert_eq!(meet(template, &wanted), meeting, "{template} {wanted}");
        }
    }
}
