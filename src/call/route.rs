//! Routes: which requests carry a rerank call, in which dialect, and on which dataset.

use super::dialect::{Places, Role};
use crate::diagnostic::{Flaw, Place};
use crate::origin::{Authority, Named};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// A route as the platform team writes it.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Written {
    /// Literal and `{named}` segments, such as `/{dataset}/v2/rerank`. Matched whole; a query string never matches.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = crate::schema::PATH)))]
    pub path: String,
    /// Name of a dialect.
    pub dialect: String,
    /// The Envoy clusters that this route's calls may go to, as Envoy names them; of weighted clusters all. A call for which Envoy has
    /// chosen another is refused.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub clusters: Vec<String>,
    /// The authorities (`search.example`, `search.example:8443`) that calls may be addressed to; those of `origins` by default.
    #[serde(default)]
    pub authorities: Vec<String>,
    /// The `Host` that the upstream is sent: its own name. Without it, it is the one that the caller addressed, unless Envoy rewrites
    /// it.
    pub host: Option<String>,
    /// Where the call's dataset stands.
    pub dataset: Source,
    /// Where the call's tenant stands, if there are tenants.
    pub tenant: Option<Source>,
    /// Members of object documents that name a dataset or tenant and must agree with the call's.
    #[serde(default)]
    pub documents_name: DocumentsName,
    /// The model, where the dialect's requests name none.
    pub model: Option<String>,
    /// Whether answers may be streams of records (`application/x-ndjson`, `text/event-stream`), which leave record by record. Without
    /// it such an answer does not leave.
    #[serde(default)]
    pub streams: bool,
    /// The credentials that may be sent to this route's upstream. A decision for another is refused: a credential must never
    /// reach an upstream that it is not for.
    pub credentials: Vec<String>,
}

/// Where a name comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A named segment of the path.
    Segment(String),
    /// A request header. It is taken off before the request goes upstream.
    Header(String),
    /// A member of every document, or a pointer into every document: all documents must be objects and name the same.
    Document(String),
    /// Always this.
    Fixed(String),
}

/// Members of object documents (`dataset`) or pointers into them (`/metadata/dataset`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DocumentsName {
    /// Names the document's dataset.
    pub dataset: Option<String>,
    /// Names the document's tenant.
    pub tenant: Option<String>,
}

/// A route that can be matched.
#[derive(Debug)]
pub struct Route {
    pub(crate) template: Template,
    pub(crate) clusters: Vec<String>,
    pub(crate) authorities: Vec<Named>,
    pub(crate) host: Option<String>,
    pub(crate) dialect: usize,
    pub(crate) dataset: Source,
    pub(crate) tenant: Option<Source>,
    pub(crate) naming: Places,
    pub(crate) model: Option<String>,
    pub(crate) streams: bool,
    pub(crate) credentials: Vec<String>,
}

impl Route {
    /// Compiles what is written; `dialects` gives each dialect's index and whether its requests name the model.
    ///
    /// # Errors
    /// What cannot work; its place is counted from the route.
    pub(crate) fn new(written: Written, dialects: &BTreeMap<&str, (usize, bool)>) -> Result<Self, Flaw> {
        let flaw = |field: &str, what: String| Flaw::new(Place::root().name(field), what);
        let template = Template::new(&written.path).map_err(|what| flaw("path", what))?;
        let Some((dialect, names_model)) = dialects.get(written.dialect.as_str()).copied() else {
            let known = dialects.keys().copied().collect::<Vec<_>>().join("`, `");
            return Err(flaw("dialect", format!("`{}` is not known: write one of `{known}`", written.dialect)));
        };
        match (&written.model, names_model) {
            (None, false) => {
                return Err(flaw(
                    "model",
                    format!("requests of dialect `{}` name none: write the model here", written.dialect),
                ));
            }
            (Some(model), true) => {
                let dialect = &written.dialect;
                return Err(flaw(
                    "model",
                    format!("`{model}` would contradict requests of dialect `{dialect}`, which name one: remove it"),
                ));
            }
            (Some(model), false) if !super::is_model_name(model) => {
                return Err(flaw("model", "write 1 to 256 visible characters of ASCII without blanks".to_owned()));
            }
            _ => {}
        }
        let mut naming = Places::default();
        for (field, source, member, role) in [
            ("dataset", Some(&written.dataset), &written.documents_name.dataset, Role::Dataset),
            ("tenant", written.tenant.as_ref(), &written.documents_name.tenant, Role::Tenant),
        ] {
            let named_in = |what: String| Flaw::new(Place::of(["documents_name", field]), what);
            let from_document = match source {
                Some(Source::Segment(name)) if !template.names(name) => {
                    return Err(flaw(field, format!("the path has no segment `{{{name}}}`")));
                }
                Some(Source::Header(name)) if !is_header_name(name) => {
                    return Err(flaw(field, format!("`{name}` is no header name: write it in lower case")));
                }
                Some(Source::Fixed(name)) if !is_name(name) => return Err(flaw(field, format!("`{name}` is no name"))),
                Some(Source::Document(member)) => Some(member),
                _ => None,
            };
            let member = match (from_document, member) {
                (Some(_), Some(_)) => return Err(named_in(format!("{field} says it already"))),
                (one, other) => one.or(other.as_ref()),
            };
            if source.is_none() && member.is_some() {
                return Err(named_in(format!("the route has no {field} to compare with")));
            }
            if let Some(member) = member {
                let pointer = if member.starts_with('/') { member.clone() } else { format!("/{member}") };
                naming.add(&pointer, role).map_err(|what| {
                    let what = format!("`{member}` {what}");
                    if from_document.is_some() { flaw(field, what) } else { named_in(what) }
                })?;
            }
        }
        if written.credentials.is_empty() {
            return Err(flaw("credentials", "name at least one that this route's upstream may be sent".to_owned()));
        }
        if written.clusters.is_empty() {
            return Err(flaw("clusters", "name the Envoy clusters that this route's calls may go to".to_owned()));
        }
        let is_no_cluster = |name: &str| name.is_empty() || name.chars().any(char::is_control);
        if let Some((at, cluster)) = written.clusters.iter().enumerate().find(|(_, name)| is_no_cluster(name)) {
            let what = format!("`{}` is no cluster: write its name in Envoy", cluster.escape_default());
            return Err(Flaw::new(Place::of(["clusters"]).item(at), what));
        }
        let mut authorities = Vec::new();
        for (at, text) in written.authorities.iter().enumerate() {
            let place = Place::of(["authorities"]).item(at);
            authorities.push(Named::read(text).map_err(|what| Flaw::new(place, what))?);
        }
        if let Some(host) = written.host.as_ref().filter(|host| Authority::read(host).is_none()) {
            return Err(flaw(
                "host",
                format!("`{host}` is no authority: write the upstream's own, such as api.cohere.com"),
            ));
        }
        Ok(Self {
            template,
            clusters: written.clusters,
            authorities,
            host: written.host,
            dialect,
            dataset: written.dataset,
            tenant: written.tenant,
            naming,
            streams: written.streams,
            model: written.model,
            credentials: written.credentials,
        })
    }
}

/// Whether `name` can name a dataset or tenant: 1 to 128 of `A-Z a-z 0-9 . _ : -`, beginning with a letter or digit. So no
/// name needs escapes in a path, a header, a glob or a log.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= 128
        && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"._:-".contains(&byte))
}

/// Whether `name` is a header name as Envoy hands them out: lower case.
#[must_use]
pub fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte))
}

/// A path with named segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    segments: Vec<Segment>,
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(String),
    Named(String),
}

impl Template {
    /// Reads `/{dataset}/v2/rerank`.
    ///
    /// # Errors
    /// What is no path, in one line.
    pub fn new(text: &str) -> Result<Self, String> {
        let path = text.strip_prefix('/').ok_or_else(|| format!("`{text}` does not begin with `/`"))?;
        let mut segments: Vec<Segment> = Vec::new();
        for part in path.split('/') {
            let segment = match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) => Segment::Named(name.to_owned()),
                None => Segment::Literal(part.to_owned()),
            };
            let sound = match &segment {
                Segment::Named(name) => is_header_name(name) && !segments.contains(&segment),
                Segment::Literal(part) => is_plain(part),
            };
            if !sound {
                return Err(format!("`{part}` is no segment: write plain text or one `{{name}}`"));
            }
            segments.push(segment);
        }
        Ok(Self { segments, text: text.to_owned() })
    }

    /// The named segments of `path`, in order, if it fits. Only plain segments fit: an escape, an empty segment, a dot segment
    /// or a query string is no match, because the upstream could read it otherwise.
    #[must_use]
    pub fn fit<'p>(&self, path: &'p str) -> Option<Vec<(&str, &'p str)>> {
        let mut parts = path.strip_prefix('/')?.split('/');
        let mut named = Vec::new();
        for segment in &self.segments {
            let part = parts.next()?;
            match segment {
                Segment::Literal(literal) if literal == part => {}
                Segment::Named(name) if is_name(part) => named.push((name.as_str(), part)),
                _ => return None,
            }
        }
        if parts.next().is_some() { None } else { Some(named) }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn names(&self, wanted: &str) -> bool {
        self.segments.iter().any(|segment| matches!(segment, Segment::Named(name) if name == wanted))
    }

    /// Whether a path that fits this one could be taken for one that fits `other` by an upstream that folds case or drops parameters
    /// (`;…`).
    #[must_use]
    pub fn resembles(&self, other: &Self) -> bool {
        let folded = |template: &Self| {
            let segments = template.segments.iter().map(|segment| match segment {
                Segment::Literal(part) => {
                    Segment::Literal(part.split(';').next().unwrap_or_default().to_ascii_lowercase())
                }
                Segment::Named(name) => Segment::Named(name.clone()),
            });
            Self { segments: segments.collect(), text: String::new() }
        };
        folded(self).meets(&folded(other))
    }

    /// Whether some path fits both.
    #[must_use]
    pub fn meets(&self, other: &Self) -> bool {
        self.segments.len() == other.segments.len()
            && self.segments.iter().zip(&other.segments).all(|pair| match pair {
                (Segment::Literal(one), Segment::Literal(other)) => one == other,
                (Segment::Literal(part), Segment::Named(_)) | (Segment::Named(_), Segment::Literal(part)) => {
                    is_name(part)
                }
                (Segment::Named(_), Segment::Named(_)) => true,
            })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

fn is_plain(part: &str) -> bool {
    !part.is_empty()
        && part != "."
        && part != ".."
        && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~:@!$&'()*+,;=-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_fits_whole_or_not_at_all() {
        let template = Template::new("/{dataset}/v2/rerank").unwrap();
        assert_eq!(template.fit("/hr-reviews/v2/rerank"), Some(vec![("dataset", "hr-reviews")]));
        for path in [
            "/v2/rerank",
            "/hr/v2/rerank/",
            "//v2/rerank",
            "/hr/v2/rerank?x=1",
            "/hr%2dreviews/v2/rerank",
            "/../v2/rerank",
            "/hr/v2/rerank#a",
            "/hr/V2/rerank",
            "hr/v2/rerank",
            "/hr/x/v2/rerank",
            "/hr;a/v2/rerank",
            "/h\u{e9}/v2/rerank",
            "*",
            "",
        ] {
            assert_eq!(template.fit(path), None, "{path}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        for text in ["", "v2", "/", "//a", "/a/", "/{a}/{a}", "/{}", "/{A}", "/a?b", "/a%20b", "/..", "/{a"] {
            assert!(Template::new(text).is_err(), "{text}");
        }
    }

    #[test]
    fn templates_whose_paths_an_upstream_could_confuse_resemble_each_other() {
        let resembles = |one: &str, other: &str| Template::new(one).unwrap().resembles(&Template::new(other).unwrap());
        for (one, other) in [
            ("/V1/Rerank", "/v1/rerank"),
            ("/v1/rerank;x=1", "/{a}/rerank"),
            ("/{b}/RERANK", "/{a}/rerank"),
            ("/{a}/{b}", "/v1/rerank"),
        ] {
            assert!(resembles(one, other) && resembles(other, one), "{one} {other}");
        }
        assert!(!resembles("/v1/models", "/v1/rerank") && !resembles("/v1", "/v1/rerank"));
    }

    #[test]
    fn templates_that_share_a_path_meet() {
        let meets = |one: &str, other: &str| Template::new(one).unwrap().meets(&Template::new(other).unwrap());
        assert!(meets("/{a}/rerank", "/v1/rerank"));
        assert!(meets("/{a}/rerank", "/v1/{b}"));
        assert!(!meets("/{a}/rerank", "/v1/score"));
        assert!(!meets("/{a}/rerank", "/rerank"));
    }
}
