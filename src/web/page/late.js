/** What comes behind the first view. */

let missed = () => {};

/** @param {() => void} then what is done whenever something does not come */
export const onMissed = (then) => {
  missed = then;
};

/** Waits for what is imported. @template T @param {Promise<T>} coming */
export async function late(coming) {
  try {
    return await coming;
  } catch (error) {
    missed();
    throw error;
  }
}
