//! The page a person decides on: plain HTML, every value escaped.

use serde_json::Value;

use super::desk::{Entry, Status};

/// One approval, with a form while it is open. The form sends JSON to `decide`, which is all it needs a script for.
pub(crate) fn page(entry: &Entry, shown: &Value) -> String {
    let facts = serde_json::to_string_pretty(shown).unwrap_or_default();
    let form = if entry.status == Status::Pending { FORM } else { "<p>Nothing is left to decide here.</p>" };
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Approval {id}</title>\
         <style>body{{font:16px/1.5 sans-serif;max-width:50em;margin:2em auto}}label{{display:block}}</style>\
         <h1>{sub} asks to {operation} on {dataset}</h1><p>{status:?}: {counted} of {min} agreed.</p>\
         {form}<pre>{facts}</pre></html>\n",
        id = escaped(&entry.id),
        sub = escaped(&entry.request.requester.sub),
        operation = escaped(&entry.request.resource.operation),
        dataset = escaped(&entry.request.resource.dataset),
        status = entry.status,
        counted = entry.approvers.len(),
        min = entry.request.min,
        facts = escaped(&facts),
    )
}

const FORM: &str = r#"<form><label>You are <input name="sub" required></label>
<label>in the groups <input name="groups" required></label><label>because <input name="reason" required></label>
<button value="yes">Approve</button> <button value="no">Reject</button></form><p id="said"></p><script>
document.forms[0].onsubmit = async event => {
  event.preventDefault();
  const told = new FormData(event.target);
  const body = {approve: event.submitter.value === 'yes', sub: told.get('sub'), reason: told.get('reason'),
    groups: told.get('groups').split(/[\s,]+/).filter(Boolean)};
  const answer = await fetch(location.pathname + '/decide',
    {method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify(body)});
  if (answer.ok) location.reload(); else document.getElementById('said').textContent = (await answer.json()).error;
};
</script>"#;

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_become_markup() {
        assert_eq!(escaped(r#"<script>'"&"#), "&lt;script&gt;&#39;&quot;&amp;");
    }
}
