package schedule

import "time"

// Quad is the number of blocks of an A B B A sequence.
const Quad = 4

// MinBlock is the min duration of a block.
const MinBlock = 200 * time.Millisecond

// Arm returns the target of block n: 0 for A, 1 for B. In A B B A a linear drift has the same
// mean for both.
func Arm(n int) int {
	if n = n % Quad; n == 0 || n == Quad-1 {
		return 0
	}
	return 1
}

// Turns returns the function from a scheduled time to its target. The warm-up extends the
// sequence of blocks backwards.
func Turns(warmUp, block time.Duration) func(scheduled time.Duration) int {
	ahead := (warmUp/(Quad*block) + 1) * Quad * block
	return func(scheduled time.Duration) int { return Arm(int((scheduled - warmUp + ahead) / block)) }
}
