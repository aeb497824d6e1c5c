// Shows notifications, as telephones know no other way. It holds nothing, and no request goes through it.

addEventListener("notificationclick", (event) => {
  event.notification.close();
  const { talkId } = event.notification.data;
  event.waitUntil(open(talkId));
});

/** Goes to the page, where it is open, and to this talk. @param {string} talkId */
async function open(talkId) {
  const all = await clients.matchAll({ type: "window", includeUncontrolled: true });
  const page = all.find((client) => client.url.startsWith(registration.scope));
  if (!page) return clients.openWindow(talkId.startsWith("#") ? `./${talkId}` : "./");
  page.postMessage({ talkId });
  return page.focus();
}
