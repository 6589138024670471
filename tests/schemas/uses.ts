// What users of the chat's declarations write, and what they must not: compiled beside `api.ts`, never run.

import type { CallFailure, Chat, ChatError, Failure, Listener, ListenerImplementation, Message, RoomId, Services, Stream, User, UserId } from "./api";

export async function overview(services: Services) {
  const chat: Chat = services.Chat;
  const member = chat.log_in("ann");
  const user = member.profile();
  const friend = chat.profile(user.friends.at(0));
  const friends = user.friends.map((id) => chat.profile(id).name);
  const room = member.enter(friend.presence.some);
  const history = room.history(10);
  const news = room.messages();
  const author = chat.profile(history.at(0).author);
  const replied = history.map((message) => message.reply_to.map((id) => chat.message(id).text));
  const there = friend.presence.map((presence) => member.enter(presence).say("hello", null));

  const all: [User, User, string[], Message[], Stream<Message>, User] = await Promise.all([user, friend, friends, history, news, author]);
  const texts: (string | null)[] = await replied;
  const said: Message | null = await there;
  for await (const message of await news) {
    const text: string = message.text;
    void text;
  }
  await room.say("answer", history.at(0).id);
  return { all, texts, said };
}

export async function callbacks(chat: Chat, room: RoomId) {
  const listener: ListenerImplementation = {
    heard(message) {
      const id: UserId = message.author;
      void id;
    },
  };
  const entered = chat.log_in("ann").enter(room);
  await entered.listen(listener);
  await entered.listen({ async heard() {} });
  const own: Listener = await Promise.reject();
  await own.heard(entered.say("x", null));
}

export async function errors(chat: Chat) {
  const promise = chat.profile(1);
  try {
    await promise;
  } catch (failure) {
    const { error } = failure as CallFailure<Failure<typeof promise>>;
    const known: ChatError = error;
    if (typeof known === "object" && "BadName" in known) {
      const name: string = known.BadName;
      void name;
    }
  }
}

export function mistakes(chat: Chat) {
  // @ts-expect-error A name is no number.
  chat.log_in(1);
  // @ts-expect-error Users have no such field.
  chat.profile(1).nickname;
  // @ts-expect-error A member is not a room.
  chat.log_in("ann").history(10);
  // @ts-expect-error A promise of a list is no id.
  chat.profile(chat.profile(1).friends);
  // @ts-expect-error A promise of something else does not fit.
  chat.profile(chat.log_in("ann"));
  // @ts-expect-error What a script promises by itself is not known to the server.
  chat.profile(Promise.resolve(1));
  // @ts-expect-error The error is the method's.
  const failure: Failure<ReturnType<Chat["profile"]>> = { Other: 1 };
  return failure;
}
