//! Where in a request a token may stand: behind `Bearer ` in `authorization`, or in another header, for clients whose "API key" goes
//! elsewhere.

use super::refusal::Refusal;
use super::settings::PlaceSettings;

/// A header and what stands before the token in it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) header: String,
    prefix: String,
}

/// A token as it stands in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'a> {
    /// Its bytes, without what stands before it.
    pub token: &'a [u8],
    /// Whether it stands behind `DPoP ` in `authorization`.
    pub is_dpop: bool,
}

impl Place {
    pub(super) fn new(settings: &PlaceSettings) -> Self {
        Self { header: settings.header.to_ascii_lowercase(), prefix: settings.prefix.clone() }
    }

    fn read<'a>(&self, value: &'a [u8]) -> Option<Found<'a>> {
        if let Some(token) = behind("DPoP ", value).filter(|_| self.header == "authorization") {
            return Some(Found { token, is_dpop: true });
        }
        behind(&self.prefix, value).map(|token| Found { token, is_dpop: false })
    }
}

/// The one token of a request. Two of them, in one header or in two, are refused: another reader could take the other one.
pub(super) fn find<'a, V: Iterator<Item = &'a [u8]>>(
    places: &[Place],
    values: impl Fn(&str) -> V,
) -> Result<Found<'a>, Refusal> {
    let mut shown = places.iter().flat_map(|place| values(&place.header).map(move |value| (place, value)));
    match (shown.next(), shown.next()) {
        (None, _) => Err(Refusal::NoToken),
        (Some((place, value)), None) => place.read(value).ok_or(Refusal::NotAToken),
        (Some(_), Some(_)) => Err(Refusal::SeveralTokens),
    }
}

/// Schemes of `authorization` know no case (RFC 9110, section 11.1).
fn behind<'a>(prefix: &str, value: &'a [u8]) -> Option<&'a [u8]> {
    let (start, token) = value.split_at_checked(prefix.len())?;
    if start.eq_ignore_ascii_case(prefix.as_bytes()) && !token.is_empty() { Some(token) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn in_headers(places: &[(&str, &str)], headers: &[(&str, &'static str)]) -> Result<Found<'static>, Refusal> {
        let setting =
            |(header, prefix): &(&str, &str)| PlaceSettings { header: (*header).into(), prefix: (*prefix).into() };
        let places: Vec<Place> = places.iter().map(|place| Place::new(&setting(place))).collect();
        find(&places, |name| {
            let all = headers.iter().filter(|(header, _)| *header == name).map(|(_, value)| value.as_bytes());
            all.collect::<Vec<_>>().into_iter()
        })
    }

    #[test]
    fn a_token_is_found_where_the_configuration_says() {
        let found = |token: &'static str, is_dpop| Ok(Found { token: token.as_bytes(), is_dpop });
        let bearer = [("authorization", "Bearer ")];
        assert_eq!(in_headers(&bearer, &[("authorization", "Bearer a.b.c")]), found("a.b.c", false));
        assert_eq!(in_headers(&bearer, &[("authorization", "bEARER a.b.c")]), found("a.b.c", false));
        assert_eq!(in_headers(&bearer, &[("authorization", "dpop a.b.c")]), found("a.b.c", true));
        assert_eq!(in_headers(&bearer, &[("authorization", "Bearer a"), ("api-key", "b")]), found("a", false));
        let both = [("authorization", "Bearer "), ("Api-Key", "")];
        assert_eq!(in_headers(&both, &[("api-key", "a.b.c")]), found("a.b.c", false));
        assert_eq!(in_headers(&both, &[("api-key", "DPoP a.b.c")]), found("DPoP a.b.c", false));
    }

    #[test]
    fn no_token_or_more_than_one_is_refused() {
        let both = [("authorization", "Bearer "), ("api-key", "")];
        assert_eq!(in_headers(&both, &[]), Err(Refusal::NoToken));
        assert_eq!(in_headers(&both, &[("x-api-key", "a")]), Err(Refusal::NoToken));
        for value in ["", "a.b.c", "Basic YTpi", "Bearer", "Bearer ", "Bearera.b.c", "ApiKey a", " Bearer a"] {
            assert_eq!(in_headers(&both, &[("authorization", value)]), Err(Refusal::NotAToken), "{value}");
        }
        for headers in [
            [("authorization", "Bearer a"), ("authorization", "Bearer a")],
            [("authorization", "Bearer a"), ("authorization", "Basic YTpi")],
            [("authorization", "Bearer a"), ("api-key", "a")],
            [("authorization", ""), ("api-key", "a")],
        ] {
            assert_eq!(in_headers(&both, &headers), Err(Refusal::SeveralTokens), "{headers:?}");
        }
    }
}
