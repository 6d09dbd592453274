//! Alerts for the tests.

/// When every alert here was sent.
const SENT: &str = "2026-03-02T09:14:00-06:00";

/// An Exercise with this identifier; with references, an Update.
pub(crate) fn alert(identifier: &str, references: &str) -> String {
    let msg_type = if references.is_empty() { "Alert" } else { "Update" };
    let references =
        if references.is_empty() { String::new() } else { format!("<references>{references}</references>") };
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<alert xmlns=\"urn:oasis:names:tc:emergency:cap:1.2\">\
         <identifier>{identifier}</identifier><sender>test@resguardo.example</sender><sent>{SENT}</sent>\
         <status>Exercise</status><msgType>{msg_type}</msgType><scope>Restricted</scope>\
         <restriction>Offices only</restriction>{references}<info><language>es</language>\
         <category>Security</category><event>Amenaza</event><urgency>Immediate</urgency><severity>Severe</severity>\
         <certainty>Likely</certainty><headline>Titular {identifier}</headline></info></alert>"
    )
}

/// How an Update names such an alert.
pub(crate) fn reference(identifier: &str) -> String {
    format!("test@resguardo.example,{identifier},{SENT}")
}
