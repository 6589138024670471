/** An integer of 64 bits or more: a number up to ±(2⁵³ − 1), which numbers hold exactly; beyond, its decimal digits. */
export type Integer64 = number | string;

/** A floating-point number; JSON has no numbers for the three that are written as words. */
export type Float = number | "NaN" | "Infinity" | "-Infinity";

/** Bytes in base64: the standard alphabet, padded. */
export type Bytes = string;

/** A value that may be absent. Where the value may be `null` itself, it stands in a list of one. */
export type Option<T> = (null extends T ? [T] : T) | null;

/** Items that come one after the other. `E` is the error that may end them. */
export interface Stream<T, E = never> extends AsyncIterable<T> {
  readonly [failure]?: () => E;
}

/** A result that is on its way, without its parts: what arguments accept and `map` returns. */
export interface Pending<T, E = never> extends PromiseLike<T> {
  readonly [failure]: () => E;
}

/**
 * A result that is on its way. Awaited, it is the value; `E` is the error that the method may fail with. Passed to another call,
 * or used to call an object or to name a part, it needs no round trip in between:
 *
 * - of an object, it has the methods of the object;
 * - of a struct, it has a promise for each field; of a tuple, for each place;
 * - of a list, `at` and `map`; of an option, `some` and `map`; of a stream, `map`.
 *
 * A field with the name `then` has no promise: JavaScript takes everything that has a `then` for a promise.
 */
export type Promised<T, E = never> = Pending<T, E> & Parts<T, E>;

/** What an argument may be: a value, or a promise of one. */
export type Argument<T> = T | Pending<T, unknown>;

/** What a one-way call gives: fulfilled when the call is on its way. Nothing comes back. */
export type Sent = PromiseLike<void>;

/** What a promise is rejected with when its method returned an error of its own. */
export interface CallFailure<E> extends Error {
  readonly error: E;
}

/** The error that a promise may fail with: `Failure<typeof promise>`. */
export type Failure<P> = P extends { readonly [failure]: () => infer E } ? E : never;

/** A service or an object: its methods can be called. */
export interface Remote {
  readonly [remote]: string;
}

/** What can be done with a promise before its value is here. */
export type Parts<T, E> = unknown extends T
  ? unknown
  : [T] extends [string | number | boolean]
    ? unknown
    : [T] extends [null]
      ? unknown
      : null extends T
        ? OptionParts<Inside<Exclude<T, null>>, E>
        : [T] extends [Remote]
          ? T
          : [T] extends [AsyncIterable<infer Item>]
            ? StreamParts<Item>
            : [T] extends [readonly (infer Element)[]]
              ? number extends T["length"]
                ? ListParts<Element, E>
                : TupleParts<T, E>
              : string extends keyof T
                ? unknown
                : StructParts<T, E>;

/** Promises of the fields of a struct. */
export type StructParts<T, E> = {
  readonly [Name in Exclude<keyof T, "then">]: Promised<Exclude<T[Name], undefined>, E>;
};

/** Promises of the places of a tuple. */
export type TupleParts<T, E> = {
  readonly [Place in Exclude<keyof T, keyof readonly unknown[]>]: Promised<T[Place], E>;
};

/** What can be done with a promised list. */
export interface ListParts<T, E> {
  /** The element at this index, counted from 0. A call that uses it fails if the list is shorter. */
  at(index: number): Promised<T, E>;
  /**
   * What the calls of `each` make of every element. `each` runs once, here, with a promise that stands for an element; the
   * server makes the calls, once an element: one call and one result, however many elements there are.
   */
  map<U, F>(each: (element: Promised<T, E>) => Pending<U, F>): Promised<U[], F>;
}

/** What can be done with a promised option. */
export interface OptionParts<T, E> {
  /** The value inside. A call that uses it fails if there is none. */
  readonly some: Promised<T, E>;
  /** What the calls of `each` make of the value inside, if there is one; see lists. */
  map<U, F>(each: (value: Promised<T, E>) => Pending<U, F>): Promised<Option<U>, F>;
}

/** What can be done with a promised stream. */
export interface StreamParts<T> {
  /** A stream of what the calls of `each` make of every item; see lists. */
  map<U, F>(each: (item: Promised<T>) => Pending<U, F>): Promised<Stream<U, F>>;
}

/** What is in an option: a value that may be `null` is taken out of its list. */
export type Inside<T> = [T] extends [readonly [infer Value]] ? (null extends Value ? Value : T) : T;

/** Names a property that exists for the compiler alone: the error of a promise or a stream. */
declare const failure: unique symbol;

/** Names a property that exists for the compiler alone: the service that an object is of. */
declare const remote: unique symbol;
