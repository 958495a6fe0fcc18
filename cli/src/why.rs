//! Why an allow did not match, in the words of its rule and of the call.

use rerank_guard::policy::{Bundle, Dimension, Limit, Miss, NearMiss, Request, Selectors, WrittenRule};

/// What the rule says and what the call is, in the one thing that kept the rule from matching.
pub(crate) fn why(bundle: &Bundle, request: &Request, miss: &NearMiss) -> String {
    let rule = bundle.rules.iter().find(|rule| rule.id == *miss.rule);
    let Some((rule, allow)) = rule.and_then(|rule| Some((rule, rule.allow.as_ref()?))) else { return String::new() };
    match miss.what {
        Miss::Selector(dimension) => selector(bundle, request, allow, dimension),
        Miss::Limit(limit) => over(rule, request, limit),
        Miss::Claims => claims(rule, request),
        Miss::Hours => format!("{} is not in its hours", request.at),
        Miss::Expired => match rule.expires {
            Some(expires) => format!("it ended at {expires}, the call is at {}", request.at),
            None => String::new(),
        },
    }
}

fn selector(bundle: &Bundle, request: &Request, allow: &Selectors, dimension: Dimension) -> String {
    let names = |list: &Option<Vec<String>>| listed(list.iter().flatten().map(String::as_str));
    match dimension {
        Dimension::Groups => {
            let alias = |alias: &String| match bundle.groups.get(alias) {
                Some(groups) => format!("{alias} ({})", groups.join(", ")),
                None => alias.clone(),
            };
            let wanted: Vec<String> = allow.groups.iter().flatten().map(alias).collect();
            let own = listed(request.groups.iter().map(String::as_str));
            format!("it is for {}, the caller is in {own}", listed(wanted.iter().map(String::as_str)))
        }
        Dimension::Models => format!("it is for {}, asked for is {}", names(&allow.models), request.model),
        Dimension::Datasets => {
            let wanted = match &allow.labels {
                Some(labels) => format!("datasets labelled {}", listed(labels.iter().map(String::as_str))),
                None => names(&allow.datasets),
            };
            format!("it is for {wanted}, asked for is {}", request.dataset)
        }
        Dimension::Tenants => {
            let tenant = request.tenant.as_deref().unwrap_or("no tenant");
            format!("it is for {}, the call is for {tenant}", names(&allow.tenants))
        }
        Dimension::Operations => format!("it is for {}, asked for is {}", names(&allow.operations), request.operation),
    }
}

fn over(rule: &WrittenRule, request: &Request, limit: Limit) -> String {
    let Some(limits) = &rule.limits else { return String::new() };
    let most = |most: Option<u64>, asked: u64| match most {
        Some(most) => format!("{most} at most, the call has {asked}"),
        None => String::new(),
    };
    match limit {
        Limit::Documents => most(limits.documents, request.documents),
        Limit::QueryBytes => most(limits.query_bytes, request.query_bytes),
        Limit::DocumentBytes => most(limits.document_bytes, request.document_bytes),
        Limit::TopN => most(limits.top_n, request.top_n.unwrap_or(request.documents)),
        Limit::ReturnDocuments => "the answer must not repeat the documents, the call wants them".to_owned(),
        Limit::Parameters => {
            let allowed = limits.parameters.as_deref().unwrap_or_default();
            let further = request.parameters.iter().filter(|name| !allowed.contains(name));
            format!(
                "it takes {}, the call has also {}",
                listed(allowed.iter().map(String::as_str)),
                listed(further.map(String::as_str))
            )
        }
    }
}

fn claims(rule: &WrittenRule, request: &Request) -> String {
    let wanted = rule.when.iter().flat_map(|when| &when.claims);
    let told = wanted.map(|(claim, values)| {
        // Pointers into claims are told by what the rule wants alone.
        let has = match request.claims.get(claim) {
            _ if claim.starts_with('/') => String::new(),
            Some(value) => format!(", the token says {value}"),
            None => ", the token does not say".to_owned(),
        };
        format!("`{claim}` must be {}{has}", values.join(" or "))
    });
    told.collect::<Vec<_>>().join("; ")
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
