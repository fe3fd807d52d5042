package schedule

import "time"

// Quad is how many blocks of time a comparison of two targets repeats: A B B A.
const Quad = 4

// MinBlock is the shortest block of time in which one of two targets gets the requests.
const MinBlock = 200 * time.Millisecond

// Arm is the target of block n: 0 for A, 1 for B. In A B B A what grows steadily is the
// same for both on average.
func Arm(n int) int {
	if n = n % Quad; n == 0 || n == Quad-1 {
		return 0
	}
	return 1
}

// Turns returns which target gets the request of a time. The warm-up's turns are as if
// there were blocks before the first one.
func Turns(warmUp, block time.Duration) func(due time.Duration) int {
	ahead := (warmUp/(Quad*block) + 1) * Quad * block
	return func(due time.Duration) int { return Arm(int((due - warmUp + ahead) / block)) }
}
